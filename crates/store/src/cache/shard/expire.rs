//! What leaves because its time is over.

use super::super::changes::ChangeKind;
use super::super::key::{HashedKey, Probe, StoredKey};
use super::super::record::Role;
use super::Shard;

impl Shard {
    /// Drops an entry whose time is over, unless such are kept.
    pub(in super::super) fn expire(&mut self, key: HashedKey<'_>) {
        if self.keep.expired() {
            return;
        }
        let Some((place, _)) = self.peek(key) else { return };
        if let Some((stored, entry)) = self.remove(key) {
            self.counters.expirations += 1;
            if self.listening && place.role() == Role::Primary {
                self.changed(ChangeKind::Expired, stored, entry.version);
            }
        }
    }

    /// Drops what has expired, at most `limit` entries, unless such are kept; how many it was.
    pub(in super::super) fn sweep(&mut self, now_ms: u64, limit: usize) -> usize {
        if self.keep.expired() {
            return 0;
        }
        let mut swept = 0;
        while swept < limit
            && let Some(&(at_ms, ring_hash)) = self.expiring.first()
            && at_ms <= now_ms
        {
            match self.expiring_at(at_ms, ring_hash).cloned() {
                Some(stored) => self.expire(stored.hashed()),
                None => {
                    self.expiring.pop_first();
                }
            }
            swept += 1;
        }
        swept
    }

    /// Drops tombstones that are over, at most `limit`, unless such are kept; how many it was.
    pub(in super::super) fn sweep_tombstones(&mut self, now_ms: u64, limit: usize) -> usize {
        if self.keep.tombstones() {
            return 0;
        }
        let mut swept = 0;
        while swept < limit
            && self
                .tombstones
                .oldest()
                .is_some_and(|(_, tombstone)| tombstone.is_over(now_ms))
            && self.unbury_oldest()
        {
            swept += 1;
        }
        swept
    }

    /// Drops the oldest tombstone; whether there was one.
    pub(in super::super) fn unbury_oldest(&mut self) -> bool {
        let oldest = self.tombstones.oldest().map(|(stored, _)| stored.clone());
        oldest.is_some_and(|stored| self.unbury(stored.hashed()).is_some())
    }

    /// An entry at this place of the ring that expires then.
    pub(super) fn expiring_at(&self, at_ms: u64, ring_hash: u64) -> Option<&StoredKey> {
        self.index_at(ring_hash).find(|stored| {
            let held = self.peek(stored.hashed());
            held.is_some_and(|(_, entry)| entry.expiry() == Some(at_ms))
        })
    }
}
