//! What the cache needs from the world: the ring as it is now, and calls to other nodes. Processes use the control store's
//! view and framed connections; the simulation in this crate's tests uses its own.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use api::{Epoch, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;
use cluster::{Owner, Routing};

/// What a call asks for; the number goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Operations of clients, from a master: [`api::cache::BatchFrame`].
    Batch = 1,
    /// What a primary applied: [`api::cache::ReplicaFrame`].
    Replica = 2,
    /// For range sync: [`api::cache::SyncDigestsRequest`].
    Digests = 3,
    /// For range sync: [`api::cache::SyncPageRequest`].
    Page = 4,
    /// Waits until the node has handed over what it applied under earlier rings. No body, no answer.
    Handover = 5,
}

impl Kind {
    /// The kind of this number.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Batch),
            2 => Some(Self::Replica),
            3 => Some(Self::Digests),
            4 => Some(Self::Page),
            5 => Some(Self::Handover),
            _ => None,
        }
    }
}

/// Why a call brought no answer, by what is known of its execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Certainly not executed: never sent, refused for load.
    #[error("{0}")]
    NotExecuted(String),
    /// Certainly not executed: the other node serves another epoch of the ring, or is another life.
    #[error("{0}")]
    Refused(String),
    /// Perhaps executed.
    #[error("{0}")]
    Unknown(String),
    /// The other node says that it makes no sense.
    #[error("{1}")]
    Failed(ErrorCode, String),
}

/// Calls to other nodes.
#[async_trait]
pub trait Peers: Debug + Send + Sync {
    /// Calls one life of a node, under an epoch of the ring.
    async fn call(&self, to: &Owner, kind: Kind, epoch: Epoch, body: Bytes, deadline: Duration) -> Result<Bytes, CallError>;
}

/// The ring, as this node knows it.
#[async_trait]
pub trait Rings: Debug + Send + Sync {
    /// The ring now.
    fn routing(&self) -> Arc<Routing>;

    /// Whether `routing` is the ring now; cheaper than asking for it.
    fn is_current(&self, routing: &Arc<Routing>) -> bool;

    /// Returns when the ring is another one than `routing`.
    async fn changed(&self, routing: &Arc<Routing>);

    /// Learns a ring of at least `epoch`, or gives up after a while.
    async fn catch_up(&self, epoch: Epoch);
}
