//! One shard: a recency list, and an index of what expires. Always behind its lock; knows no bounds.

use std::collections::BTreeSet;

use lru::LruCache;

use super::entry::Entry;
use super::key::{HashedKey, Key, PassThroughBuilder, Probe, StoredKey};

/// Change of the cache's totals by one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    pub(super) entries: isize,
    pub(super) bytes: isize,
}

impl Change {
    fn gained(bytes: usize) -> Self {
        Self {
            entries: 1,
            bytes: bytes.cast_signed(),
        }
    }

    fn lost(bytes: usize) -> Self {
        Self {
            entries: -1,
            bytes: -bytes.cast_signed(),
        }
    }
}

impl std::ops::AddAssign for Change {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
    }
}

/// Counters of one shard.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expirations: u64,
    pub(super) evictions_by_entries: u64,
    pub(super) evictions_by_bytes: u64,
}

pub(super) struct Shard {
    entries: LruCache<StoredKey, Entry, PassThroughBuilder>,
    /// Entries that expire, soonest first.
    expiring: BTreeSet<(u64, StoredKey)>,
    pub(super) counters: Counters,
    /// Accumulates until the caller takes it.
    change: Change,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(PassThroughBuilder::default()),
            expiring: BTreeSet::new(),
            counters: Counters::default(),
            change: Change::default(),
        }
    }

    /// What changed since the last call.
    pub(super) fn take_change(&mut self) -> Change {
        std::mem::take(&mut self.change)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The live entry of a key, made the most recent one; an expired one is dropped on the way.
    pub(super) fn get(&mut self, key: HashedKey<'_>, now_ms: u64) -> Option<&Entry> {
        if self.entries.peek(&key as &dyn Probe)?.is_expired(now_ms) {
            self.remove(key);
            self.counters.expirations += 1;
            return None;
        }
        self.entries.get(&key as &dyn Probe)
    }

    /// Writes an entry.
    pub(super) fn insert(&mut self, key: HashedKey<'_>, entry: Entry) {
        let key_len = key.key.namespace.len() + key.key.key.len();
        let (cost, expires_at_ms) = (entry.cost(key_len), entry.expires_at_ms);
        let Some(held) = self.entries.get_mut(&key as &dyn Probe) else {
            let stored = StoredKey::from(key);
            if expires_at_ms != 0 {
                self.expiring.insert((expires_at_ms, stored.clone()));
            }
            self.entries.put(stored, entry);
            self.change += Change::gained(cost);
            return;
        };
        let old = std::mem::replace(held, entry);
        self.change.bytes += cost.cast_signed() - old.cost(key_len).cast_signed();
        if old.expires_at_ms != expires_at_ms {
            self.reschedule(key, old.expires_at_ms, expires_at_ms);
        }
    }

    /// Drops the entry of a key.
    pub(super) fn remove(&mut self, key: HashedKey<'_>) -> Option<Entry> {
        let (stored, entry) = self.entries.pop_entry(&key as &dyn Probe)?;
        Some(self.dropped(stored, entry))
    }

    /// Drops the least recently used entry.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let (stored, entry) = self.entries.pop_lru()?;
        Some(self.dropped(stored, entry))
    }

    /// Drops entries that `keep` does not want; how many.
    pub(super) fn retain(&mut self, keep: impl Fn(Key<'_>) -> bool) -> usize {
        let (before, expiring, change) = (self.entries.len(), &mut self.expiring, &mut self.change);
        self.entries.retain(|stored, entry| {
            let kept = keep(stored.hashed().key);
            if !kept {
                *change += Change::lost(entry.cost(stored.len()));
                if entry.expires_at_ms != 0 {
                    expiring.remove(&(entry.expires_at_ms, stored.clone()));
                }
            }
            kept
        });
        before - self.entries.len()
    }

    /// Drops what has expired, at most `limit` entries; how many it was.
    pub(super) fn sweep(&mut self, now_ms: u64, limit: usize) -> usize {
        let mut swept = 0;
        while swept < limit && self.expiring.first().is_some_and(|(at, _)| *at <= now_ms) {
            if let Some((_, stored)) = self.expiring.pop_first()
                && let Some((stored, entry)) = self.entries.pop_entry(&stored)
            {
                self.change += Change::lost(entry.cost(stored.len()));
            }
            swept += 1;
        }
        self.counters.expirations += swept as u64;
        swept
    }

    fn dropped(&mut self, stored: StoredKey, entry: Entry) -> Entry {
        self.change += Change::lost(entry.cost(stored.len()));
        if entry.expires_at_ms != 0 {
            self.expiring.remove(&(entry.expires_at_ms, stored));
        }
        entry
    }

    fn reschedule(&mut self, key: HashedKey<'_>, from_ms: u64, to_ms: u64) {
        let Some((stored, _)) = self.entries.get_key_value(&key as &dyn Probe) else {
            return;
        };
        let mut scheduled = (from_ms, stored.clone());
        if from_ms != 0 {
            self.expiring.remove(&scheduled);
        }
        if to_ms != 0 {
            scheduled.0 = to_ms;
            self.expiring.insert(scheduled);
        }
    }
}
