//! One leader at a time, by a lease, with every write fenced.
//!
//! The lease alone is no lock: a paused process may believe it leads after its lease has ended. Two things make that
//! harmless: a leader stops by its own monotonic clock, counted from *before* the keep-alive was sent; and every write it
//! makes compares the revision at which its key was created (Kleppmann, *How to do distributed locking*, 2016).

mod campaign;
mod identity;

pub use campaign::Leadership;
pub use identity::cluster_id;

use api::{BootId, NodeId};
use control::{Compare, Revision};
use serde::{Deserialize, Serialize};

use crate::keys;

/// Value of the key `leader`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Who leads.
    pub node_id: NodeId,
    /// This life of it.
    pub boot_id: BootId,
    /// `host:port` of its private listener.
    pub address: String,
    /// `host:port` of its public listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
}

/// Identity of one term of leadership. Goes with every order, so that those who carry them out can refuse older ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The cluster; revisions of different ones cannot be compared.
    pub cluster: String,
    /// Revision at which the key `leader` was created; grows with every term.
    pub revision: Revision,
}

impl Token {
    /// The condition that makes a write fail once this term is over.
    #[must_use]
    pub fn fence(&self) -> Compare {
        Compare::CreateRevision(keys::LEADER.to_owned(), self.revision)
    }
}

/// Whether this node leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderState {
    /// It does, under this token.
    Leading(Token),
    /// It does not; who does, when known.
    Following {
        /// The leader.
        leader: Option<Leader>,
    },
}

impl LeaderState {
    /// The token while leading.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        match self {
            Self::Leading(token) => Some(token),
            Self::Following { .. } => None,
        }
    }
}
