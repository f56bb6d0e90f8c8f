//! The directory of an attempt: its files appear all at once, or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is being filled. Dropped before it is published, it leaves nothing.
pub(super) struct AttemptDir {
    attempt: PathBuf,
    temporary: PathBuf,
}

impl AttemptDir {
    /// Opens the directory of an attempt, which gets its name when it is published.
    pub(super) fn create(attempt: &Path) -> io::Result<Self> {
        let dir = Self {
            attempt: attempt.to_owned(),
            temporary: attempt.with_extension("tmp"),
        };
        remove(&dir.temporary)?;
        fs::create_dir_all(&dir.temporary)?;
        Ok(dir)
    }

    /// Where to write until then.
    pub(super) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the files visible under the attempt's name.
    pub(super) fn publish(self) -> io::Result<()> {
        remove(&self.attempt)?;
        fs::rename(&self.temporary, &self.attempt)
    }
}

impl Drop for AttemptDir {
    fn drop(&mut self) {
        // Published, it has another name by now; and what cannot be removed goes when the worker starts again.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// Removes a directory, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
