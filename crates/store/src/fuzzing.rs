//! The readers of files, for fuzzers: each takes any bytes, and asserts what must stay true of them.

#![allow(clippy::expect_used, reason = "a panic is what a fuzzer looks for")]

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::backup::fuzzed as backup;
use crate::blob::{BlobName, fuzzed as blob};

/// A file of this process, written anew each time.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let dir = if memory.is_dir() { memory } else { std::env::temp_dir() };
    dir.join(format!("elasticore-fuzz-{}", std::process::id()))
});

/// Any bytes as the file of a backup.
pub fn backup_file(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).expect("a file in memory");
    backup::file(&FILE);
    std::fs::remove_file(&*FILE).expect("it is ours");
}

/// Any bytes under checksums that match: as the header of a backup, and as the items of a block.
pub fn backup_parts(bytes: &[u8]) {
    backup::parts(bytes);
}

/// Any bytes, under a checksum that matches, as what stands behind the content of a blob.
pub fn blob_trailer(bytes: &[u8]) {
    blob::trailer(bytes);
}

/// Any text as the name of a blob: what is accepted stays in its directory, and comes back from the name of its file.
pub fn blob_name(text: &str) {
    if let Ok(name) = BlobName::try_new(text) {
        blob::name(&name);
    }
}
