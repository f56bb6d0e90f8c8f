//! A key's state as it travels: to replicas, to new owners, into backups.

use api::cache::{ReplicaItem, ReplicaState};

use super::entry::Hit;
use super::key::StoredKey;

/// What this node is to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It takes the writes, and decides what is evicted.
    Primary,
    /// It keeps a copy.
    Replica,
}

/// A key, its version and what it holds. A clone shares the bytes of all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(super) key: StoredKey,
    /// Stamp of the last write.
    pub version: u64,
    /// What that write left.
    pub state: RecordState,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// A value.
    Live(Hit),
    /// Nothing: it was deleted.
    Deleted {
        /// When, in Unix milliseconds.
        at_ms: u64,
        /// Whether there was something to delete.
        existed: bool,
    },
}

impl Record {
    /// Namespace; empty is the default one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.key().namespace
    }

    /// The key in it.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.key().key
    }

    /// The key's place on the ring.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.key.ring_hash()
    }

    /// Bytes it takes on the wire, about.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        /// Versions, times, lengths and tags.
        const REST: usize = 48;
        let value = match &self.state {
            RecordState::Live(hit) => hit.0.len(),
            RecordState::Deleted { .. } => 0,
        };
        REST + self.key.len() + value
    }

    /// As peers are given it.
    #[must_use]
    pub fn to_item(&self) -> ReplicaItem<'_> {
        ReplicaItem {
            namespace: self.namespace(),
            key: self.key(),
            version: self.version,
            state: match &self.state {
                RecordState::Live(hit) => ReplicaState::Live {
                    value: hit.value(),
                    content_type: hit.content_type(),
                    packing: hit.packing(),
                    lifetime: hit.lifetime(),
                    created: hit.created(),
                },
                &RecordState::Deleted { at_ms, existed } => ReplicaState::Deleted { at_ms, existed },
            },
        }
    }
}
