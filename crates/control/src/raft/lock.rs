//! One process at a time in a directory.

use std::fs::{File, TryLockError};
use std::path::Path;

use parking_lot::Mutex;

use crate::error::Error;

/// Held as long as the directory is in use; the operating system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: Mutex<Option<File>>,
}

impl DirLock {
    /// Takes a directory, which exists.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("LOCK");
        let unusable = |error| Error::Unavailable(format!("the directory {} cannot be written: {error}", dir.display()));
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                file: Mutex::new(Some(file)),
            }),
            Err(TryLockError::WouldBlock) => Err(Error::Unavailable(format!(
                "the directory {} is in use by another process: stop that one, or set another RAFT_DIR",
                dir.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Lets go.
    pub(crate) fn release(&self) {
        self.file.lock().take();
    }
}
