//! The cache: shards behind their locks, and what is counted over all of them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use super::changes::{Change, MAX_CHANGES};
use super::cost::Costs;
use super::eviction::Policy;
use super::key::{HashedKey, Key};
use super::namespaces::{NamespaceId, NamespaceStats, Namespaces, Quota, QuotaBounds};
use super::shard::Shard;
use super::stats::Stats;
use super::tally::Totals;

/// Fewest entries a shard should have room for: recency means little among fewer.
const MIN_ENTRIES_PER_SHARD: usize = 64;

/// How much the cache may hold, and what goes when that is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries (`CACHE_SIZE`), at least 1.
    pub entries: usize,
    /// Bytes with keys, content types, tombstones and bookkeeping (`CACHE_MAX_BYTES`).
    pub bytes: usize,
    /// How victims are chosen (`CACHE_POLICY`).
    pub policy: Policy,
}

/// A bounded map from keys to values that forgets.
pub struct Cache {
    pub(super) shards: Box<[Mutex<Shard>]>,
    pub(super) bounds: Bounds,
    pub(super) costs: Costs,
    pub(super) totals: Totals,
    pub(super) namespaces: Namespaces,
    /// Those there are; locked while they are replaced.
    pub(super) quotas: Mutex<Vec<(NamespaceId, Arc<Quota>)>>,
    /// The same as they were asked for, for those who must not wait.
    pub(super) limits: ArcSwap<Vec<(Arc<str>, QuotaBounds)>>,
    seed: u64,
    /// Where the next eviction from another shard begins, and the next sweep.
    pub(super) eviction_hand: AtomicUsize,
    pub(super) sweep_hand: AtomicUsize,
}

impl Cache {
    /// An empty cache with a power of two of at least four shards per core, fewer when `bounds` leave room for few entries.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bounds = Bounds {
            entries: bounds.entries.max(1),
            ..bounds
        };
        let useful = (bounds.entries / MIN_ENTRIES_PER_SHARD).max(1);
        let count = (4 * cores).next_power_of_two().min(if useful.is_power_of_two() {
            useful
        } else {
            useful.next_power_of_two() / 2
        });
        let shard = || Mutex::new(Shard::new(bounds.policy, MAX_CHANGES / count));
        Self {
            shards: std::iter::repeat_with(shard).take(count).collect(),
            bounds,
            costs: Costs::of(bounds.policy),
            totals: Totals::default(),
            namespaces: Namespaces::new(),
            quotas: Mutex::default(),
            limits: ArcSwap::default(),
            seed: RandomState::new().hash_one(count),
            eviction_hand: AtomicUsize::new(0),
            sweep_hand: AtomicUsize::new(0),
        }
    }

    /// Whether expirations are among the [changes](Self::take_changes); at first they are not.
    pub fn set_listening(&self, listening: bool) {
        for index in 0..self.shards.len() {
            self.lock_at(index).listening = listening;
        }
    }

    /// What happened by itself since the last call, to entries this node is the primary of: those of one key in order.
    #[must_use]
    pub fn take_changes(&self) -> Vec<Change> {
        let mut taken = Vec::new();
        if self.totals.changes.load(Ordering::Relaxed) > 0 {
            for index in 0..self.shards.len() {
                taken.extend(self.lock_at(index).take_changes());
            }
        }
        taken
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (primaries, replicas) = (self.totals.primaries.get(), self.totals.replicas.get());
        let tombstones = self.totals.tombstones.get();
        let mut stats = Stats {
            entries: primaries.count + replicas.count,
            bytes: primaries.bytes + replicas.bytes + tombstones.bytes,
            primaries: primaries.count,
            primary_bytes: primaries.bytes,
            replicas: replicas.count,
            replica_bytes: replicas.bytes,
            tombstones: tombstones.count,
            tombstone_bytes: tombstones.bytes,
            ..Stats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.hits += shard.namespaces.iter().map(|namespace| namespace.hits).sum::<u64>();
            stats.misses += shard.namespaces.iter().map(|namespace| namespace.misses).sum::<u64>();
            stats.expirations += shard.counters.expirations;
            stats.evictions_by_entries += shard.counters.evictions_by_entries;
            stats.evictions_by_bytes += shard.counters.evictions_by_bytes;
            stats.evictions_by_quota += shard.counters.evictions_by_quota;
            stats.tombstones_lost += shard.counters.tombstones_lost;
            stats.changes_lost += shard.changes.lost;
        }
        stats
    }

    /// What each namespace has done and holds, counted where its entries are primary. Those beyond the number that are
    /// counted apart come together under one name, `/others`.
    #[must_use]
    pub fn namespaces(&self) -> Vec<(Arc<str>, NamespaceStats)> {
        let names = self.namespaces.names().into_iter();
        let mut namespaces: Vec<_> = names.map(|name| (name, NamespaceStats::default())).collect();
        for shard in &self.shards {
            for ((_, sum), stats) in namespaces.iter_mut().zip(&shard.lock().namespaces) {
                *sum += stats;
            }
        }
        namespaces.retain(|(_, stats)| *stats != NamespaceStats::default());
        namespaces
    }

    /// The shard of a key to be read, locked.
    pub(super) fn open<'a>(&self, key: Key<'a>) -> (LockedShard<'_>, HashedKey<'a>) {
        let key = key.hashed(self.seed);
        let shard = self.lock(key);
        // Looked up under the lock: who gives a namespace a quota does so before it locks the shards.
        (shard, key.of(self.namespaces.find(key.key.namespace)))
    }

    /// The shard of a key to be written, locked. Its namespace gets a number.
    pub(super) fn open_to_write<'a>(&self, key: Key<'a>) -> (LockedShard<'_>, HashedKey<'a>) {
        let key = key.hashed(self.seed);
        let shard = self.lock(key);
        (shard, key.of(self.namespaces.number(key.key.namespace)))
    }

    fn lock(&self, key: HashedKey<'_>) -> LockedShard<'_> {
        // Bits the shard's own table does not use: it takes the lowest for the slot and the highest seven for the tag.
        self.lock_at((key.hash >> 40) as usize)
    }

    pub(super) fn lock_at(&self, index: usize) -> LockedShard<'_> {
        let index = index & (self.shards.len() - 1);
        LockedShard {
            cache: self,
            index,
            shard: self.shards[index].lock(),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("bounds", &self.bounds)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A shard under its lock. Whatever changed in it is added to the cache's totals before the lock is given up.
pub(super) struct LockedShard<'a> {
    cache: &'a Cache,
    pub(super) index: usize,
    shard: MutexGuard<'a, Shard>,
}

impl LockedShard<'_> {
    pub(super) fn account(&mut self) {
        let tally = self.shard.take_tally();
        self.cache.totals.add(&tally);
    }
}

impl Drop for LockedShard<'_> {
    fn drop(&mut self) {
        self.account();
    }
}

impl Deref for LockedShard<'_> {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl DerefMut for LockedShard<'_> {
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}
