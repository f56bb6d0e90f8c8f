//! The cache: operations over the shards, and the two bounds.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::entry::{self, Entry, Hit, MAX_CONTENT_TYPE_BYTES};
use super::key::{HashedKey, Key};
use super::shard::{Change, Shard};
use super::stats::Stats;
use super::write::{Condition, Counter, Deleted, Put, Refusal, Stored};

/// Fewest entries a shard should have room for: recency means little among fewer.
const MIN_ENTRIES_PER_SHARD: usize = 64;

/// Most expired entries dropped while one shard is locked.
const SWEEP_STEP: usize = 128;

/// How much the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries (`CACHE_SIZE`), at least 1.
    pub entries: usize,
    /// Bytes with keys, content types and bookkeeping (`CACHE_MAX_BYTES`).
    pub bytes: usize,
}

/// A bounded map from keys to values that forgets.
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    bounds: Bounds,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    seed: u64,
    /// Where the next eviction from another shard begins, and the next sweep.
    eviction_hand: AtomicUsize,
    sweep_hand: AtomicUsize,
}

/// Which bound is exceeded.
enum Exceeded {
    Entries,
    Bytes,
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
        Self {
            shards: (0..count).map(|_| Mutex::new(Shard::new())).collect(),
            bounds,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            seed: RandomState::new().hash_one(count),
            eviction_hand: AtomicUsize::new(0),
            sweep_hand: AtomicUsize::new(0),
        }
    }

    /// The value of a key, if it holds one that has not expired.
    #[must_use]
    pub fn get(&self, key: Key<'_>, now_ms: u64) -> Option<Hit> {
        let key = key.hashed(self.seed);
        let mut shard = self.lock(key);
        let hit = shard.get(key, now_ms).cloned().map(Hit);
        match hit {
            Some(_) => shard.counters.hits += 1,
            None => shard.counters.misses += 1,
        }
        hit
    }

    /// Writes a value.
    ///
    /// # Errors
    /// [`Refusal::PreconditionFailed`], [`Refusal::Stale`], [`Refusal::TooLarge`], [`Refusal::ContentTypeTooLong`]; nothing
    /// is changed then.
    pub fn put(&self, key: Key<'_>, put: Put<'_>, now_ms: u64) -> Result<Stored, Refusal> {
        if put.content_type.len() > MAX_CONTENT_TYPE_BYTES {
            return Err(Refusal::ContentTypeTooLong {
                bytes: put.content_type.len(),
            });
        }
        self.fits(key, put.content_type.len() + put.value.len(), put.expires_at_ms)?;
        let key = key.hashed(self.seed);
        let mut shard = self.lock(key);
        let held = shard.get(key, now_ms);
        if let Some(entry) = held
            && entry.version == put.version
            && entry.is_of(&put)
        {
            return Ok(Stored {
                version: entry.version,
                created: entry.created,
            });
        }
        let held = held.map(|entry| entry.version);
        admit(held, put.version, put.condition)?;
        let created = held.is_none();
        shard.insert(
            key,
            Entry::new(put.value, put.content_type, put.version, put.expires_at_ms, created),
        );
        self.settle(shard);
        Ok(Stored {
            version: put.version,
            created,
        })
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Refusal::PreconditionFailed`], [`Refusal::Stale`]; nothing is changed then.
    pub fn delete(&self, key: Key<'_>, version: u64, condition: Condition, now_ms: u64) -> Result<Deleted, Refusal> {
        let key = key.hashed(self.seed);
        let mut shard = self.lock(key);
        let held = shard.get(key, now_ms).map(|entry| entry.version);
        admit(held, version, condition)?;
        Ok(Deleted {
            existed: shard.remove(key).is_some(),
        })
    }

    /// Adds to a decimal integer; an absent key counts as 0. Content type and expiry stay.
    ///
    /// Unlike a value, a sum does not tell which write made it, so a stamp that is held already counts as somebody else's:
    /// better to ask for another stamp than to lose an increment. Who does not know the outcome must not send it again.
    ///
    /// # Errors
    /// [`Refusal::NotAnInteger`], [`Refusal::Overflow`], [`Refusal::Stale`], [`Refusal::TooLarge`]; nothing is changed then.
    pub fn incr(&self, key: Key<'_>, by: i64, version: u64, now_ms: u64) -> Result<Counter, Refusal> {
        let hashed = key.hashed(self.seed);
        let mut shard = self.lock(hashed);
        let held = shard.get(hashed, now_ms).cloned().map(Hit);
        let current = held.as_ref().map_or(Ok(0), |hit| parse_integer(hit.value()))?;
        admit(held.as_ref().map(Hit::version), version, Condition::None)?;
        let value = current.checked_add(by).ok_or(Refusal::Overflow)?;
        let text = value.to_string();
        let (content_type, expires_at_ms) = held.as_ref().map_or(("", 0), |hit| (hit.content_type(), hit.expires_at_ms()));
        self.fits(key, content_type.len() + text.len(), expires_at_ms)?;
        shard.insert(
            hashed,
            Entry::new(text.as_bytes(), content_type, version, expires_at_ms, held.is_none()),
        );
        self.settle(shard);
        Ok(Counter { value, version })
    }

    /// Drops up to about `limit` expired entries, each shard locked only for a few at a time, and says how many there were.
    /// A result of `limit` or more means that there may be more.
    pub fn sweep(&self, now_ms: u64, limit: usize) -> usize {
        let mut swept = 0;
        let mut idle = 0;
        while swept < limit && idle < self.shards.len() {
            let mut shard = self.lock_at(self.sweep_hand.fetch_add(1, Ordering::Relaxed));
            let step = shard.sweep(now_ms, SWEEP_STEP.min(limit - swept));
            drop(shard);
            swept += step;
            idle = if step == 0 { idle + 1 } else { 0 };
        }
        swept
    }

    /// Drops every entry whose key `keep` does not want, one shard locked at a time; how many there were.
    pub fn retain(&self, keep: impl Fn(Key<'_>) -> bool) -> usize {
        (0..self.shards.len()).map(|index| self.lock_at(index).retain(&keep)).sum()
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            ..Stats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.hits += shard.counters.hits;
            stats.misses += shard.counters.misses;
            stats.expirations += shard.counters.expirations;
            stats.evictions_by_entries += shard.counters.evictions_by_entries;
            stats.evictions_by_bytes += shard.counters.evictions_by_bytes;
        }
        stats
    }

    /// Whether an entry would fit if it were the only one.
    fn fits(&self, key: Key<'_>, bytes: usize, expires_at_ms: u64) -> Result<(), Refusal> {
        let takes = entry::cost(key.namespace.len() + key.key.len(), bytes, expires_at_ms != 0);
        if takes > self.bounds.bytes {
            Err(Refusal::TooLarge {
                bytes: takes,
                limit: self.bounds.bytes,
            })
        } else {
            Ok(())
        }
    }

    fn lock(&self, key: HashedKey<'_>) -> LockedShard<'_> {
        // Bits the shard's own table does not use: it takes the lowest for the slot and the highest seven for the tag.
        self.lock_at((key.hash >> 40) as usize)
    }

    fn lock_at(&self, index: usize) -> LockedShard<'_> {
        let index = index & (self.shards.len() - 1);
        LockedShard {
            cache: self,
            index,
            shard: self.shards[index].lock(),
        }
    }

    /// Brings the cache back into its bounds after a write to `shard`: the oldest entry of that shard goes first, which is
    /// all there is to do for values of like size; a large value takes from all shards in turn, so that it does not cost
    /// one shard its recent entries. The entry just written is its shard's most recent, and stays.
    fn settle(&self, mut shard: LockedShard<'_>) {
        let own = shard.index;
        shard.account();
        if shard.len() > 1
            && let Some(exceeded) = self.exceeded()
        {
            shard.evict(exceeded);
        }
        drop(shard);
        let mut idle = 0;
        while idle <= self.shards.len()
            && let Some(exceeded) = self.exceeded()
        {
            let mut shard = self.lock_at(self.eviction_hand.fetch_add(1, Ordering::Relaxed));
            if shard.len() > usize::from(shard.index == own) {
                shard.evict(exceeded);
                idle = 0;
            } else {
                idle += 1;
            }
        }
    }

    fn exceeded(&self) -> Option<Exceeded> {
        if self.bytes.load(Ordering::Relaxed) > self.bounds.bytes {
            Some(Exceeded::Bytes)
        } else if self.entries.load(Ordering::Relaxed) > self.bounds.entries {
            Some(Exceeded::Entries)
        } else {
            None
        }
    }

    fn account(&self, change: Change) {
        // Two's complement: adding a negative change wraps to the right sum.
        if change.entries != 0 {
            self.entries.fetch_add(change.entries.cast_unsigned(), Ordering::Relaxed);
        }
        if change.bytes != 0 {
            self.bytes.fetch_add(change.bytes.cast_unsigned(), Ordering::Relaxed);
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
struct LockedShard<'a> {
    cache: &'a Cache,
    index: usize,
    shard: MutexGuard<'a, Shard>,
}

impl LockedShard<'_> {
    fn account(&mut self) {
        let change = self.shard.take_change();
        self.cache.account(change);
    }

    fn evict(&mut self, exceeded: Exceeded) {
        self.shard.pop_oldest();
        match exceeded {
            Exceeded::Entries => self.shard.counters.evictions_by_entries += 1,
            Exceeded::Bytes => self.shard.counters.evictions_by_bytes += 1,
        }
        self.account();
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

fn parse_integer(value: &[u8]) -> Result<i64, Refusal> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Refusal::NotAnInteger)
}

/// Whether a write may be applied over the version held: only a newer one. Its own repetition has been recognised before.
fn admit(held: Option<u64>, version: u64, condition: Condition) -> Result<(), Refusal> {
    if !condition.holds(held) {
        return Err(Refusal::PreconditionFailed { held });
    }
    match held {
        Some(held) if held >= version => Err(Refusal::Stale { held }),
        _ => Ok(()),
    }
}
