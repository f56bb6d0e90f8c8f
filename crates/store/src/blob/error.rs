//! What can go wrong with blobs.

use std::io;
use std::path::PathBuf;

use super::name::BlobName;

/// Failure of an operation on blobs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name breaks the rules.
    #[error("{name:?} is not a blob name: {reason}")]
    InvalidName {
        /// What was given.
        name: String,
        /// The broken rule.
        reason: &'static str,
    },
    /// No blob has this name.
    #[error("there is no blob {0}")]
    NotFound(BlobName),
    /// A blob of this name holds something else; blobs are immutable.
    #[error("blob {0} exists with another content")]
    Exists(BlobName),
    /// The file is not what was written. Another copy must serve.
    #[error("blob {name} is damaged: {detail}")]
    Damaged {
        /// The blob.
        name: BlobName,
        /// What does not fit.
        detail: String,
    },
    /// The writer's source failed; nothing was stored.
    #[error("the content of blob {name} ended early")]
    Source {
        /// The blob.
        name: BlobName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no room; nothing was stored.
    #[error("no space for blobs: {0}")]
    NoSpace(String),
    /// Another process uses the directory.
    #[error("{} is in use by another process; give each node a BLOB_DIR of its own", .0.display())]
    InUse(PathBuf),
    /// The disk failed or is full.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on I/O.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
