//! What happened by itself to entries this node is the primary of: replicas and listeners have to be told.

use std::collections::VecDeque;

use super::key::StoredKey;

/// Changes kept until somebody takes them, over all shards. Beyond that the oldest go, and are counted: replicas then hold
/// what range sync takes away, and listeners have missed something.
pub(super) const MAX_CHANGES: usize = 16_384;

/// Why an entry is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// There was no room for it.
    Evicted,
    /// Its time was over.
    Expired,
}

/// An entry that is gone, though nobody deleted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Why.
    pub kind: ChangeKind,
    /// The version that was held.
    pub version: u64,
    pub(super) key: StoredKey,
}

impl Change {
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
}

/// Changes of one shard, in order.
pub(super) struct Changes {
    waiting: VecDeque<Change>,
    limit: usize,
    pub(super) lost: u64,
}

impl Changes {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            limit,
            lost: 0,
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        if self.waiting.len() >= self.limit {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(change);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn take(&mut self) -> VecDeque<Change> {
        std::mem::take(&mut self.waiting)
    }
}
