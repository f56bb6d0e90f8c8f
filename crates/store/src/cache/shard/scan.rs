//! Walking through a shard in the order of the ring.

use std::ops::Bound;

use super::super::entry::Hit;
use super::super::keep::Keep;
use super::super::key::{HashedKey, Probe, StoredKey};
use super::super::record::{Record, RecordState};
use super::super::tombstones::Tombstone;
use super::Shard;

/// What a key has.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Held {
    Entry { version: u64, expires_at_ms: u64 },
    Tombstone(Tombstone),
}

impl Held {
    pub(in super::super) const fn version(self) -> u64 {
        match self {
            Self::Entry { version, .. } | Self::Tombstone(Tombstone { version, .. }) => version,
        }
    }

    /// What lists show of it: the version, which ends long before the highest bit, and that bit for a tombstone.
    pub(in super::super) const fn listed(self) -> u64 {
        match self {
            Self::Entry { version, .. } => version,
            Self::Tombstone(Tombstone { version, .. }) => version | 1 << 63,
        }
    }

    /// Whether it is not over yet, or is kept beyond its time.
    pub(in super::super) const fn counts(self, now_ms: u64, keep: Keep) -> bool {
        match self {
            Self::Entry { expires_at_ms, .. } => keep.expired() || expires_at_ms == 0 || expires_at_ms > now_ms,
            Self::Tombstone(tombstone) => keep.tombstones() || !tombstone.is_over(now_ms),
        }
    }
}

impl Shard {
    /// What a key has, expired or not.
    pub(in super::super) fn held(&self, key: HashedKey<'_>) -> Option<Held> {
        match self.peek(key) {
            Some((_, entry)) => Some(Held::Entry {
                version: entry.version,
                expires_at_ms: entry.lifetime.expires_at_ms,
            }),
            None => self.tombstones.get(key).copied().map(Held::Tombstone),
        }
    }

    /// A key's state, expired or not, to be handed out.
    pub(in super::super) fn record(&self, stored: &StoredKey) -> Option<Record> {
        let (key, stored) = (stored.hashed(), stored.clone());
        match self.peek(key) {
            Some((_, entry)) => Some(Record {
                key: stored,
                version: entry.version,
                state: RecordState::Live(Hit(entry.clone())),
            }),
            None => self.tombstones.get(key).map(|tombstone| Record {
                key: stored,
                version: tombstone.version,
                state: RecordState::Deleted {
                    at_ms: tombstone.at_ms,
                    existed: tombstone.existed,
                },
            }),
        }
    }

    /// Keys of entries in the order of the ring, behind `after`.
    pub(in super::super) fn index_behind<'a>(&'a self, after: &StoredKey) -> impl Iterator<Item = &'a StoredKey> + use<'a> {
        self.index.range::<StoredKey, _>((Bound::Excluded(after), Bound::Unbounded))
    }

    /// Keys of entries at one place of the ring.
    pub(in super::super) fn index_at(&self, ring_hash: u64) -> impl Iterator<Item = &StoredKey> {
        self.index_behind(&StoredKey::first_at(ring_hash))
            .take_while(move |stored| stored.ring_hash() == ring_hash)
    }

    /// Keys of entries and tombstones at one place of the ring.
    pub(in super::super) fn keys_at(&self, ring_hash: u64) -> impl Iterator<Item = &StoredKey> {
        self.index_at(ring_hash)
            .chain(self.tombstones.at(ring_hash).map(|(stored, _)| stored))
    }
}
