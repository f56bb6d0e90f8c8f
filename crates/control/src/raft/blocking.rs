//! Work on a disk, which may wait, as tasks must not.

use std::io;

use super::disk::Disk;

/// Runs work on a thread that may wait. On a disk that is only imagined there is nothing to wait for.
pub(crate) async fn blocking<T: Send + 'static>(disk: &dyn Disk, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    if disk.imagined().is_some() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
