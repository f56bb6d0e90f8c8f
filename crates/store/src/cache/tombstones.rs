//! What was deleted, and when: a version that a late copy of an older write cannot pass.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hash_ring::hash_key;

use super::key::{HashedKey, StoredKey};

/// How long a tombstone is kept, by the clock of the node that keeps it.
pub const TOMBSTONE_TTL_MS: u64 = 10 * 60 * 1000;

/// What a delete leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) version: u64,
    pub(super) at_ms: u64,
    /// Whether the delete of this version found something; lets its repetition be answered the same.
    pub(super) existed: bool,
}

impl Tombstone {
    /// Whether nothing older can come any more.
    pub(super) const fn is_over(&self, now_ms: u64) -> bool {
        self.at_ms.saturating_add(TOMBSTONE_TTL_MS) <= now_ms
    }
}

/// The tombstones of a shard, by place on the ring and by age.
#[derive(Default)]
pub(super) struct Tombstones {
    keys: BTreeMap<StoredKey, Tombstone>,
    /// When, and place on the ring.
    ages: BTreeSet<(u64, u64)>,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn get(&self, key: HashedKey<'_>) -> Option<&Tombstone> {
        self.find(key).map(|(_, tombstone)| tombstone)
    }

    /// Puts one in place of the one held, which it gives back.
    pub(super) fn insert(&mut self, key: StoredKey, tombstone: Tombstone) -> Option<Tombstone> {
        let ring_hash = key.ring_hash();
        let old = self.keys.insert(key, tombstone);
        if let Some(old) = old {
            self.forget_age(old.at_ms, ring_hash);
        }
        self.ages.insert((tombstone.at_ms, ring_hash));
        old
    }

    pub(super) fn remove(&mut self, key: HashedKey<'_>) -> Option<(StoredKey, Tombstone)> {
        let stored = self.find(key)?.0.clone();
        let tombstone = self.keys.remove(&stored)?;
        self.forget_age(tombstone.at_ms, stored.ring_hash());
        Some((stored, tombstone))
    }

    pub(super) fn oldest(&self) -> Option<(&StoredKey, &Tombstone)> {
        let (at_ms, ring_hash) = *self.ages.first()?;
        self.at(ring_hash).find(|(_, tombstone)| tombstone.at_ms == at_ms)
    }

    /// In the order of the ring, behind `after`.
    pub(super) fn behind<'a>(&'a self, after: &StoredKey) -> impl Iterator<Item = (&'a StoredKey, &'a Tombstone)> + use<'a> {
        self.keys.range::<StoredKey, _>((Bound::Excluded(after), Bound::Unbounded))
    }

    fn find(&self, key: HashedKey<'_>) -> Option<(&StoredKey, &Tombstone)> {
        if self.keys.is_empty() {
            return None;
        }
        let ring_hash = hash_key(key.key.namespace, key.key.key);
        self.at(ring_hash).find(|(stored, _)| stored.key() == key.key)
    }

    /// At one place of the ring.
    pub(super) fn at(&self, ring_hash: u64) -> impl Iterator<Item = (&StoredKey, &Tombstone)> {
        self.behind(&StoredKey::first_at(ring_hash))
            .take_while(move |(key, _)| key.ring_hash() == ring_hash)
    }

    /// Two keys at one place of the ring, deleted in one millisecond, share an age: it stays for the other one.
    fn forget_age(&mut self, at_ms: u64, ring_hash: u64) {
        if !self.at(ring_hash).any(|(_, tombstone)| tombstone.at_ms == at_ms) {
            self.ages.remove(&(at_ms, ring_hash));
        }
    }
}
