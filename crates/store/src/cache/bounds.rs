//! Keeping within the bounds.
//!
//! The shard that was written to pays first, which is all there is to do for values of like size; a large value takes from
//! all shards in turn, so that it does not cost one shard its recent entries. What was just written stays.
//!
//! Victims are entries this node is the primary of, and their replicas are told; a copy of another node's entry goes only
//! when there is little else. Tombstones have a share of their own, and go last.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::key::{HashedKey, Probe};
use super::namespaces::{Quota, QuotaBounds};
use super::record::Role;
use super::shard::{Place, Shard};
use super::table::{Cache, LockedShard};
use super::walk::Walk;
use super::write::Refusal;

/// As long as primaries take this part of a bound, victims come from them.
const PRIMARY_SHARE: usize = 4;

/// Tombstones take at most this part of the bytes.
const TOMBSTONE_SHARE: usize = 8;

/// Tombstones held at most.
const MAX_TOMBSTONES: usize = 1 << 18;

/// Which bound is exceeded.
#[derive(Debug, Clone, Copy)]
enum Exceeded {
    Entries,
    Bytes,
}

impl Cache {
    /// Replaces the quotas of namespaces, and brings them within.
    pub fn set_quotas(&self, quotas: impl IntoIterator<Item = (Arc<str>, QuotaBounds)>) {
        let quotas: Vec<_> = quotas.into_iter().collect();
        let mut current = self.quotas.lock();
        self.limits.store(Arc::new(quotas.clone()));
        let mut wanted = self.namespaces.quotas(quotas);
        for (id, _) in &*current {
            // It keeps its table, which costs less than to move its entries.
            if !wanted.iter().any(|(other, _)| other == id) {
                wanted.push((*id, Arc::new(Quota::new(QuotaBounds::default()))));
            }
        }
        for index in 0..self.shards.len() {
            let mut shard = self.lock_at(index);
            for (id, quota) in &wanted {
                shard.set_quota(*id, quota);
            }
        }
        *current = wanted;
        let mut walk = Walk::of_entries();
        while self.step(&mut walk, |shard, stored| {
            let key = stored.hashed();
            let key = key.of(self.namespaces.find(key.key.namespace));
            if let Some((place, _)) = shard.peek(key) {
                shard.rehome(key, place.role());
            }
        }) {}
        drop(current);
        self.settle_all();
    }

    /// What namespaces that have a quota may hold on this node.
    #[must_use]
    pub fn quotas(&self) -> Arc<Vec<(Arc<str>, QuotaBounds)>> {
        self.limits.load_full()
    }

    /// Whether an entry would fit if it were the only one of the cache, or of its namespace's quota.
    pub(super) fn fits(&self, shard: &Shard, key: HashedKey<'_>, bytes: usize, expires_at_ms: u64) -> Result<(), Refusal> {
        let bytes = self.costs.entry(key.key.len(), bytes, expires_at_ms != 0);
        let quota = shard.quota(key.namespace).and_then(|quota| quota.bounds.bytes);
        let limit = quota.unwrap_or(usize::MAX).min(self.bounds.bytes);
        if bytes > limit {
            Err(Refusal::TooLarge { bytes, limit })
        } else {
            Ok(())
        }
    }

    /// Brings the cache back into its bounds after an entry was written to `shard`.
    pub(super) fn settle(&self, mut shard: LockedShard<'_>, written: Place) {
        shard.account();
        if let Place::Quota(id) = written
            && let Some(quota) = shard.quota(id).filter(|quota| quota.is_exceeded()).cloned()
        {
            if shard.len_of(written) > 1 {
                evict_for_quota(&mut shard, written);
            }
            let own = shard.index;
            drop(shard);
            self.settle_quota(written, &quota, Some(own));
            self.shrink(Some((own, written)));
            return;
        }
        if let Some(exceeded) = self.exceeded() {
            let role = self.pays(exceeded);
            evict(&mut shard, role, Some(written), exceeded);
        }
        let own = shard.index;
        drop(shard);
        self.shrink(Some((own, written)));
    }

    /// Brings the cache back into its bounds after a tombstone was left in `shard`.
    pub(super) fn settle_tombstones(&self, shard: LockedShard<'_>) {
        let own = shard.index;
        drop(shard);
        let is_exceeded = || {
            let held = self.totals.tombstones.get();
            held.count > MAX_TOMBSTONES || held.bytes > self.bounds.bytes / TOMBSTONE_SHARE
        };
        let mut hand = own;
        let mut idle = 0;
        while idle <= self.shards.len() && is_exceeded() {
            let mut shard = self.lock_at(hand);
            hand += 1;
            let lost = shard.tombstones.len() > usize::from(shard.index == own) && shard.unbury_oldest();
            shard.counters.tombstones_lost += u64::from(lost);
            idle = if lost { 0 } else { idle + 1 };
        }
        self.shrink(None);
    }

    /// Brings the cache back into its bounds after entries have changed their places.
    pub(super) fn settle_all(&self) {
        let quotas = self.quotas.lock().clone();
        for (id, quota) in &quotas {
            self.settle_quota(Place::Quota(*id), quota, None);
        }
        self.shrink(None);
    }

    fn settle_quota(&self, place: Place, quota: &Quota, own: Option<usize>) {
        let mut idle = 0;
        while idle <= self.shards.len() && quota.is_exceeded() {
            let mut shard = self.lock_at(self.eviction_hand.fetch_add(1, Ordering::Relaxed));
            if shard.len_of(place) > usize::from(own == Some(shard.index)) {
                evict_for_quota(&mut shard, place);
                idle = 0;
            } else {
                idle += 1;
            }
        }
    }

    /// Takes from all shards in turn until the cache is within its bounds: from who pays, then from the others, then tombstones.
    fn shrink(&self, written: Option<(usize, Place)>) {
        let mut idle = 0;
        while let Some(exceeded) = self.exceeded() {
            let mut shard = self.lock_at(self.eviction_hand.fetch_add(1, Ordering::Relaxed));
            let spared = written.filter(|(own, _)| *own == shard.index).map(|(_, place)| place);
            let round = idle / (self.shards.len() + 1);
            let gone = match (round, self.pays(exceeded)) {
                (0, role) => evict(&mut shard, role, spared, exceeded),
                (1, Role::Primary) => evict(&mut shard, Role::Replica, spared, exceeded),
                (1, Role::Replica) => evict(&mut shard, Role::Primary, spared, exceeded),
                (2, _) if matches!(exceeded, Exceeded::Bytes) => {
                    let lost = shard.unbury_oldest();
                    shard.counters.tombstones_lost += u64::from(lost);
                    lost
                }
                _ => return,
            };
            idle = if gone { 0 } else { idle + 1 };
        }
    }

    fn pays(&self, exceeded: Exceeded) -> Role {
        let held = self.totals.primaries.get();
        let (held, bound) = match exceeded {
            Exceeded::Entries => (held.count, self.bounds.entries),
            Exceeded::Bytes => (held.bytes, self.bounds.bytes),
        };
        if held >= bound / PRIMARY_SHARE {
            Role::Primary
        } else {
            Role::Replica
        }
    }

    fn exceeded(&self) -> Option<Exceeded> {
        if self.totals.bytes() > self.bounds.bytes {
            Some(Exceeded::Bytes)
        } else if self.totals.entries() > self.bounds.entries {
            Some(Exceeded::Entries)
        } else {
            None
        }
    }
}

fn evict(shard: &mut LockedShard<'_>, role: Role, spared: Option<Place>, exceeded: Exceeded) -> bool {
    let gone = shard.evict(role, spared);
    let counter = match exceeded {
        Exceeded::Entries => &mut shard.counters.evictions_by_entries,
        Exceeded::Bytes => &mut shard.counters.evictions_by_bytes,
    };
    *counter += u64::from(gone);
    shard.account();
    gone
}

fn evict_for_quota(shard: &mut LockedShard<'_>, place: Place) {
    shard.counters.evictions_by_quota += u64::from(shard.evict_from(place));
    shard.account();
}
