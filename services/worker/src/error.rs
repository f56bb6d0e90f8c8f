//! Why a worker cannot start, or cannot go on.

use std::io;
use std::path::PathBuf;

use api::NodeId;
use transport::server::BindError;

/// Why a worker cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot work.
    #[error("{0}")]
    Settings(String),
    /// The port cannot be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The working directory cannot be used.
    #[error("WORK_DIR {} cannot be used: is it writable, and is there room?", .directory.display())]
    WorkDir {
        /// The directory.
        directory: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process works in the same directory.
    #[error("WORK_DIR {} is in use by another worker: give each its own", .0.display())]
    WorkDirInUse(PathBuf),
    /// A directory of input files cannot be used.
    #[error("DATA_DIRS cannot be used")]
    DataDirs(#[source] io::Error),
    /// No threads to compute on.
    #[error("cannot start the threads that queries run on")]
    Threads(#[source] io::Error),
    /// Its certificate cannot be used.
    #[error("TLS_CERT, TLS_KEY and TLS_CA (or ETCD_CERT, ETCD_KEY and ETCD_CA) cannot be used")]
    Tls(#[from] tls::Error),
    /// The cluster does not admit this node.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Another process took this node's id.
    #[error("another process has taken NODE_ID {0}; give each node an id of its own")]
    Superseded(NodeId),
}
