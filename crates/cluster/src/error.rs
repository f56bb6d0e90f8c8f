//! Why a node cannot take part.

use std::time::Duration;

use api::{ErrorCode, NodeId};

/// Failure to take part in the cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another live process has this id.
    #[error("NODE_ID {id} is in use by another live node at {address}; stop that one, or give this one an id of its own")]
    DuplicateNode {
        /// The id.
        id: NodeId,
        /// Where the other one listens.
        address: String,
    },
    /// The control store failed.
    #[error("the control store cannot be used")]
    Control(#[from] control::Error),
    /// The control store did not answer for too long.
    #[error("the control store at {at} did not answer within {waited:?}")]
    ControlSilent {
        /// Where it should be.
        at: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A record in the control store is not what it should be.
    #[error("the record {key} in the control store cannot be read")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A node cannot be taken out of the ring.
    #[error("{id} cannot leave the ring")]
    Keep {
        /// The node.
        id: NodeId,
        /// Why not.
        #[source]
        reason: crate::change::KeepReason,
    },
    /// No master admitted this node.
    #[error("no master at {address} (MASTER_ADDRESS) admitted this node")]
    Join {
        /// Where one was expected.
        address: String,
        /// What happened.
        #[source]
        source: transport::peer::PeerError,
    },
}

impl Error {
    /// Whether trying again cannot help.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::DuplicateNode { .. } | Self::Record { .. } | Self::Keep { .. } => true,
            Self::ControlSilent { .. } => false,
            Self::Control(error) => matches!(error, control::Error::Invalid(_) | control::Error::Damaged(_)),
            Self::Join { source, .. } => matches!(
                source.code(),
                ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::InvalidArgument
            ),
        }
    }
}
