//! A snapshot that is coming in from a peer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::disk::{Disk, DiskFile};
use super::super::runtime::new_id;
use super::file::{self, SnapshotFile};
use super::store::{RECEIVED, SnapshotStore};

/// A file being filled. What is left of one after a crash is cleared away at the next start.
pub(crate) struct Incoming {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Somebody else's from here on.
    handed_over: bool,
}

impl SnapshotStore {
    /// Makes room for a snapshot from a peer.
    pub(crate) fn begin_receiving(&self) -> io::Result<Incoming> {
        let path = self.dir().join(format!("{}{RECEIVED}", new_id().simple()));
        let file = self.disk().create(&path)?;
        let disk = Arc::clone(self.disk());
        Ok(Incoming {
            disk,
            path,
            file,
            handed_over: false,
        })
    }
}

impl SnapshotStore {
    /// Removes a snapshot that came in, if it was not taken over.
    pub(crate) fn forget(&self, received: &SnapshotFile) {
        let left = self.disk().names(self.dir()).unwrap_or_default();
        let name = received.path.file_name().unwrap_or_default();
        if received.is_received() && left.iter().any(|held| name == held.as_str()) {
            remove(&**self.disk(), &received.path);
        }
    }
}

impl Incoming {
    /// Adds what came in.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    /// Makes it durable, and makes sure that it is whole.
    pub(crate) fn finish(mut self) -> io::Result<SnapshotFile> {
        let verified = self.file.sync().and_then(|()| {
            file::verify(&*self.disk, &self.path).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))
        });
        verified?;
        self.handed_over = true;
        Ok(SnapshotFile {
            path: std::mem::take(&mut self.path),
        })
    }
}

impl Drop for Incoming {
    /// One that is not finished is of no use, however it came to that.
    fn drop(&mut self) {
        if !self.handed_over {
            remove(&*self.disk, &self.path);
        }
    }
}

/// Removes a snapshot that nobody wants.
fn remove(disk: &dyn Disk, path: &Path) {
    if let Err(error) = disk.remove(path) {
        tracing::debug!(%error, path = %path.display(), "an unfinished snapshot stays until the next start");
    }
}
