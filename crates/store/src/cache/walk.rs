//! Walks over everything, in steps: a shard is locked for a few hundred keys at most, and the walk goes on behind the last one,
//! whatever has happened in between. What is there from beginning to end is met exactly once.

use std::sync::Arc;

use super::key::{Probe, StoredKey};
use super::record::{Record, Role};
use super::shard::Shard;
use super::table::Cache;

/// Most keys visited while one shard is locked: well under a millisecond, though each may change its table.
const STEP: usize = 512;

/// Bytes of entries held outside the lock at most, but for one: they may be evicted meanwhile, and take memory all the same.
const CHUNK_BYTES: usize = 1 << 20;

/// Most keys visited by one call for keys with a prefix.
const PREFIX_VISITS: usize = 128 * STEP;

/// How far a walk has come.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    shard: usize,
    /// Each shard has two parts.
    in_tombstones: bool,
    with_tombstones: bool,
    /// The part of the ring it goes through, both ends included.
    ring: (u64, u64),
    after: StoredKey,
}

impl Walk {
    /// Over entries and tombstones in a part of the ring, both ends included.
    pub(super) fn of_all(first: u64, last: u64) -> Self {
        Self {
            shard: 0,
            in_tombstones: false,
            with_tombstones: true,
            ring: (first, last),
            after: StoredKey::first_at(first),
        }
    }

    /// Over all entries.
    pub(super) fn of_entries() -> Self {
        Self {
            with_tombstones: false,
            ..Self::of_all(0, u64::MAX)
        }
    }

    fn next_part(&mut self) {
        self.after = StoredKey::first_at(self.ring.0);
        if self.with_tombstones && !self.in_tombstones {
            self.in_tombstones = true;
        } else {
            self.in_tombstones = false;
            self.shard += 1;
        }
    }
}

/// Where a listing of keys goes on.
#[derive(Debug, Clone)]
pub struct Cursor(Walk);

/// A part of a listing of keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Keys, without their namespace; there may be none.
    pub keys: Vec<Arc<str>>,
    /// Where it goes on, unless this was all.
    pub next: Option<Cursor>,
}

impl Cache {
    /// Visits the next keys of a walk, with their shard locked; false when there are no more.
    pub(super) fn step(&self, walk: &mut Walk, mut visit: impl FnMut(&mut Shard, &StoredKey)) -> bool {
        self.step_while(walk, |shard, key| {
            visit(shard, key);
            true
        })
    }

    /// The same, and ends the step with the key for which `visit` says no.
    fn step_while(&self, walk: &mut Walk, mut visit: impl FnMut(&mut Shard, &StoredKey) -> bool) -> bool {
        if walk.shard >= self.shards.len() {
            return false;
        }
        let mut shard = self.lock_at(walk.shard);
        let last = walk.ring.1;
        let within = |key: &&StoredKey| key.ring_hash() <= last;
        let keys: Vec<StoredKey> = if walk.in_tombstones {
            let tombstones = shard.tombstones.behind(&walk.after);
            tombstones
                .map(|(key, _)| key)
                .take_while(within)
                .take(STEP)
                .cloned()
                .collect()
        } else {
            shard
                .index_behind(&walk.after)
                .take_while(within)
                .take(STEP)
                .cloned()
                .collect()
        };
        if keys.is_empty() {
            walk.next_part();
        }
        for key in keys {
            let goes_on = visit(&mut shard, &key);
            walk.after = key;
            if !goes_on {
                break;
            }
        }
        true
    }

    /// Gives each entry the role `role_of` has for its place on the ring, and drops what it has none for, tombstones too; how
    /// many of both.
    pub fn assign(&self, role_of: impl Fn(u64) -> Option<Role>) -> usize {
        let mut dropped = 0;
        let mut walk = Walk::of_all(0, u64::MAX);
        while self.step(&mut walk, |shard, key| match role_of(key.ring_hash()) {
            Some(role) => {
                shard.rehome(key.hashed(), role);
            }
            None => dropped += usize::from(shard.drop_key(key.hashed())),
        }) {}
        self.settle_all();
        dropped
    }

    /// Drops entries and tombstones with versions older than this; how many.
    pub fn clear(&self, older_than_version: u64) -> usize {
        let mut dropped = 0;
        let mut walk = Walk::of_all(0, u64::MAX);
        while self.step(&mut walk, |shard, key| {
            if shard
                .held(key.hashed())
                .is_some_and(|held| held.version() < older_than_version)
            {
                dropped += usize::from(shard.drop_key(key.hashed()));
            }
        }) {}
        dropped
    }

    /// Shows every entry (expired ones that are still held, too) and tombstone, no shard locked meanwhile.
    pub fn for_each(&self, mut f: impl FnMut(&Record)) {
        let mut records = Vec::new();
        let mut walk = Walk::of_all(0, u64::MAX);
        let mut bytes = 0;
        while self.step_while(&mut walk, |shard, key| {
            let record = shard.record(key);
            bytes += record.as_ref().map_or(0, Record::wire_len);
            records.extend(record);
            bytes < CHUNK_BYTES
        }) {
            bytes = 0;
            records.drain(..).for_each(|record| f(&record));
        }
    }

    /// Keys of a namespace that begin with `prefix`, of which this node is the primary: at most `limit` of them, from
    /// `after` on. There may be none, and more to come: one call looks at so many keys only.
    #[must_use]
    pub fn keys_with_prefix(&self, namespace: &str, prefix: &str, after: Option<Cursor>, limit: usize) -> Keys {
        let Cursor(mut walk) = after.unwrap_or_else(|| Cursor(Walk::of_entries()));
        let mut keys = Vec::new();
        let mut visited = 0;
        let mut more = true;
        while more && keys.len() < limit && visited < PREFIX_VISITS {
            more = self.step_while(&mut walk, |shard, stored| {
                visited += 1;
                let key = stored.key();
                if key.namespace == namespace
                    && key.key.starts_with(prefix)
                    && shard
                        .peek(stored.hashed())
                        .is_some_and(|(place, _)| place.role() == Role::Primary)
                {
                    keys.push(stored.shared_key());
                }
                keys.len() < limit
            });
        }
        Keys {
            keys,
            next: more.then_some(Cursor(walk)),
        }
    }
}
