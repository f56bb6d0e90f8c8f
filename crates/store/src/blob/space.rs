//! Room for blobs: a bound for all of them together, and a part of the disk that stays free.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Error;

/// Bytes written between two looks at the disk.
const LOOK_EVERY: u64 = 16 << 20;

/// How much of the disk blobs may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Most bytes of all files together; 0 for no bound.
    pub max_bytes: u64,
    /// Bytes of the disk that stay free.
    pub min_free: u64,
}

/// What is being written now, besides what is written.
#[derive(Debug)]
pub(super) struct Space {
    limits: Limits,
    incoming: AtomicU64,
}

impl Space {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            incoming: AtomicU64::new(0),
        }
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Room for one file, which grows as it is written.
    pub(super) const fn claim<'a>(&'a self, directory: &'a Path) -> Claim<'a> {
        Claim {
            space: self,
            directory,
            bytes: 0,
            unlooked: LOOK_EVERY,
        }
    }
}

/// Room taken by a file that is being written; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    space: &'a Space,
    directory: &'a Path,
    bytes: u64,
    unlooked: u64,
}

impl Claim<'_> {
    /// Takes room for `more` bytes, while all other files take `held`.
    pub(super) fn grow(&mut self, more: u64, held: u64) -> Result<(), Error> {
        self.bytes += more;
        let incoming = self.space.incoming.fetch_add(more, Ordering::Relaxed) + more;
        let Limits { max_bytes, min_free } = self.space.limits;
        if max_bytes > 0 && held.saturating_add(incoming) > max_bytes {
            return Err(Error::NoSpace(format!(
                "they would take more than {max_bytes} bytes; raise BLOB_MAX_BYTES, or add an auxiliary"
            )));
        }
        self.unlooked += more;
        if self.unlooked >= LOOK_EVERY {
            self.unlooked = 0;
            let free = free_bytes(self.directory)?;
            if free < min_free {
                return Err(Error::NoSpace(format!(
                    "the disk has {free} bytes free, and {min_free} must stay so; free some, add an auxiliary, or lower BLOB_MIN_FREE"
                )));
            }
        }
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.space.incoming.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes that this process may still write to the disk of a directory.
pub(super) fn free_bytes(directory: &Path) -> Result<u64, Error> {
    let disk = rustix::fs::statvfs(directory).map_err(|errno| Error::io("inspect the disk of", directory)(errno.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
