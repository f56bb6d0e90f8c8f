//! A disk that can lose power: what was not synced is gone, files as well as names. A killed process keeps its page
//! cache, so nothing else tests that we sync what we promise.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile, OsDisk};

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct CrashDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    off: bool,
    sync_fails: bool,
    /// Bytes that still fit, when the disk is about to be full.
    left: Option<usize>,
    sync_takes: Duration,
    /// Length of each file, as written and as synced.
    lengths: HashMap<PathBuf, (u64, u64)>,
    /// How to undo changes of names that are not durable yet, oldest first.
    undo: Vec<(PathBuf, Undo)>,
}

#[derive(Debug)]
enum Undo {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf },
    Removed { path: PathBuf, content: Vec<u8> },
}

struct CrashFile {
    disk: CrashDisk,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl CrashDisk {
    /// Makes every sync take a while, as on real hardware.
    pub(crate) fn slow_syncs(&self, time: Duration) {
        self.shared.lock().sync_takes = time;
    }

    /// Makes every sync fail from now on.
    pub(crate) fn fail_syncs(&self) {
        self.shared.lock().sync_fails = true;
    }

    /// Leaves space for so many bytes.
    pub(crate) fn fill(&self, left: usize) {
        self.shared.lock().left = Some(left);
    }

    /// Makes space again.
    pub(crate) fn make_space(&self) {
        self.shared.lock().left = None;
    }

    /// Cuts the power. Of what was not synced, each file keeps at most `torn` bytes.
    pub(crate) fn crash(&self, torn: u64) {
        let mut shared = self.shared.lock();
        shared.off = true;
        for (path, (written, synced)) in shared.lengths.drain() {
            let kept = written.min(synced + torn);
            let Ok(file) = fs::OpenOptions::new().write(true).open(&path) else {
                continue;
            };
            file.set_len(kept).unwrap();
        }
        for (_, undo) in shared.undo.drain(..).rev() {
            match undo {
                Undo::Created(path) => drop(fs::remove_file(path)),
                Undo::Renamed { from, to } => fs::rename(to, from).unwrap(),
                Undo::Removed { path, content } => fs::write(path, content).unwrap(),
            }
        }
    }

    fn on(&self) -> io::Result<parking_lot::MutexGuard<'_, Shared>> {
        let shared = self.shared.lock();
        if shared.off {
            Err(io::Error::other("the power is off"))
        } else {
            Ok(shared)
        }
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CrashFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        })
    }
}

impl Disk for CrashDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.create_dir(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.names(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut shared = self.on()?;
        shared.undo.retain(|(changed, _)| changed != dir);
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        OsDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut shared = self.on()?;
        let file = OsDisk.create(path)?;
        shared.undo.push((parent(path), Undo::Created(path.to_owned())));
        shared.lengths.insert(path.to_owned(), (0, 0));
        Ok(self.file(path, file))
    }

    fn reopen(&self, path: &Path, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut shared = self.on()?;
        let file = OsDisk.reopen(path, length)?;
        shared.lengths.insert(path.to_owned(), (length, length));
        Ok(self.file(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut shared = self.on()?;
        OsDisk.rename(from, to)?;
        shared.undo.push((
            parent(to),
            Undo::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            },
        ));
        if let Some(lengths) = shared.lengths.remove(from) {
            shared.lengths.insert(to.to_owned(), lengths);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut shared = self.on()?;
        let content = fs::read(path)?;
        OsDisk.remove(path)?;
        shared.lengths.remove(path);
        shared.undo.push((
            parent(path),
            Undo::Removed {
                path: path.to_owned(),
                content,
            },
        ));
        Ok(())
    }
}

impl DiskFile for CrashFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.disk.on()?;
        let fits = shared.left.map_or(bytes.len(), |left| left.min(bytes.len()));
        self.file.append(&bytes[..fits])?;
        if let Some((written, _)) = shared.lengths.get_mut(&self.path) {
            *written += fits as u64;
        }
        if let Some(left) = &mut shared.left {
            *left -= fits;
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let time = self.disk.on()?.sync_takes;
        std::thread::sleep(time);
        let mut shared = self.disk.on()?;
        if shared.sync_fails {
            return Err(io::Error::other("the disk is broken"));
        }
        if let Some((written, synced)) = shared.lengths.get_mut(&self.path) {
            *synced = *written;
        }
        Ok(())
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}
