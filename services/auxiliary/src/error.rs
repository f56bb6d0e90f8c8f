//! Why an auxiliary cannot start or go on.

use std::path::PathBuf;

/// Failure of an auxiliary as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong.
    #[error("{0}")]
    Settings(String),
    /// Its port is taken or may not be used.
    #[error(transparent)]
    Bind(#[from] transport::server::BindError),
    /// The directory of the blobs cannot be used.
    #[error("BLOB_DIR {} cannot be used", directory.display())]
    Blobs {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: store::blob::Error,
    },
    /// The directory of the backups cannot be used.
    #[error("BACKUP_DIR {} cannot be used", directory.display())]
    Backups {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: store::backup::Error,
    },
    /// Its certificate cannot be used.
    #[error("TLS_CERT, TLS_KEY and TLS_CA (or ETCD_CERT, ETCD_KEY and ETCD_CA) cannot be used")]
    Tls(#[from] tls::Error),
    /// The cluster does not admit this node.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Another process took over the node's id.
    #[error("another process has taken NODE_ID {0}; give each node an id of its own")]
    Superseded(api::NodeId),
}
