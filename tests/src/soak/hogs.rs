//! Who keeps a disk busy, so that everybody else's syncs take long.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

/// How many write at once.
const HOGS: usize = 4;
/// Written and synced at once, by each.
const PIECE: usize = 4 << 20;
/// Size at which a file is written over.
const PIECES: u32 = 16;

/// Writers of files that nobody reads; dropping this ends them too.
#[derive(Debug)]
pub(super) struct Hogs {
    stop: Arc<AtomicBool>,
    writers: JoinSet<u64>,
}

impl Hogs {
    /// Begins to write below a directory.
    ///
    /// # Panics
    /// When it cannot be written.
    pub(super) fn start(directory: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for _ in 0..HOGS {
            // It has no name, and its room is free again when it is closed.
            let file = tempfile::tempfile_in(directory).expect("the temporary directory can be written");
            let stop = Arc::clone(&stop);
            writers.spawn_blocking(move || hog(file, &stop).expect("the temporary directory can be written"));
        }
        Self { stop, writers }
    }

    /// Ends; how many large writes were synced.
    pub(super) async fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.writers).join_all().await.iter().sum()
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn hog(mut file: File, stop: &AtomicBool) -> std::io::Result<u64> {
    let piece = vec![1; PIECE];
    let mut synced = 0;
    while !stop.load(Ordering::Relaxed) {
        if synced % u64::from(PIECES) == 0 {
            file.set_len(0)?;
            file.rewind()?;
        }
        file.write_all(&piece)?;
        file.sync_all()?;
        synced += 1;
    }
    Ok(synced)
}
