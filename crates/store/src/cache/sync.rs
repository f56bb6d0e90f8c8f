//! Finding out what differs from another node's store.
//!
//! Keys are divided into [`SYNC_BUCKETS`] by the first bits of their places on the ring. What has expired by the clock, and
//! tombstones past their time, count as gone unless they are kept: nodes forget them at different moments.

use std::collections::{BTreeSet, HashSet};

use api::cache::SYNC_BUCKETS;
use xxhash_rust::xxh3::xxh3_64;

use super::key::{Probe, StoredKey};
use super::record::Record;
use super::shard::{Held, Shard};
use super::table::Cache;
use super::walk::Walk;

/// Bits of a place on the ring that do not tell its bucket.
const BUCKET_SHIFT: u32 = u64::BITS - SYNC_BUCKETS.ilog2();

/// Most keys dropped while one shard is locked.
const DROP_STEP: usize = 512;

/// What another node lacks or has wrong, of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it lacks, or has in another version, in the order of the ring.
    pub items: Vec<Record>,
    /// Places on the ring of what it has and this node does not.
    pub surplus: Vec<u64>,
    /// Not all it lacks is here: the rest lies behind the last item.
    pub more: bool,
}

/// The bucket of a place on the ring.
#[must_use]
pub const fn bucket_of(ring_hash: u64) -> u16 {
    (ring_hash >> BUCKET_SHIFT) as u16
}

impl Cache {
    /// A digest per bucket of all keys whose places on the ring `concerns` wants: equal where two nodes hold the same
    /// versions of the same keys.
    #[must_use]
    pub fn digests(&self, concerns: impl Fn(u64) -> bool, now_ms: u64) -> Vec<u64> {
        let mut digests = vec![0; SYNC_BUCKETS];
        self.survey(Walk::of_all(0, u64::MAX), concerns, now_ms, |_, key, held| {
            digests[usize::from(bucket_of(key.ring_hash()))] ^= digest(key.ring_hash(), held);
        });
        digests
    }

    /// The keys of a bucket that `concerns` wants: places on the ring, and versions (of tombstones with the highest bit set).
    #[must_use]
    pub fn list(&self, bucket: u16, concerns: impl Fn(u64) -> bool, now_ms: u64) -> Vec<(u64, u64)> {
        let mut list = Vec::new();
        self.survey(walk(bucket), concerns, now_ms, |_, key, held| {
            list.push((key.ring_hash(), held.listed()));
        });
        list
    }

    /// What a node that lists `have` for a bucket has to change to be like this one: items in the order of the ring, about
    /// `max_bytes` of them, but at least one. Where there are more, all that is missing up to the last one is here.
    #[must_use]
    pub fn page(&self, bucket: u16, concerns: impl Fn(u64) -> bool, have: &[(u64, u64)], max_bytes: usize, now_ms: u64) -> Page {
        let had: HashSet<(u64, u64)> = have.iter().copied().collect();
        let mut surplus: BTreeSet<u64> = have.iter().map(|(ring_hash, _)| *ring_hash).collect();
        let mut items = Vec::new();
        self.survey(walk(bucket), concerns, now_ms, |shard, key, held| {
            surplus.remove(&key.ring_hash());
            if !had.contains(&(key.ring_hash(), held.listed())) {
                items.extend(shard.record(key));
            }
        });
        items.sort_unstable_by_key(Record::hash);
        let mut bytes = 0;
        let fitting = items
            .chunk_by(|one, two| one.hash() == two.hash())
            .take_while(|at_one_place| {
                let is_first = bytes == 0;
                bytes += at_one_place.iter().map(Record::wire_len).sum::<usize>();
                is_first || bytes <= max_bytes
            });
        let fitting = fitting.map(<[Record]>::len).sum();
        let more = fitting < items.len();
        items.truncate(fitting);
        Page {
            items,
            surplus: surplus.into_iter().collect(),
            more,
        }
    }

    /// Drops the keys (entries or tombstones) at these places on the ring that still have what they are listed with;
    /// how many it was.
    pub fn drop_listed(&self, listed: &[(u64, u64)]) -> usize {
        let mut dropped = 0;
        for index in 0..self.shards.len() {
            for listed in listed.chunks(DROP_STEP) {
                let mut shard = self.lock_at(index);
                for &(ring_hash, version) in listed {
                    let keys: Vec<StoredKey> = shard.keys_at(ring_hash).cloned().collect();
                    for key in keys {
                        if shard.held(key.hashed()).is_some_and(|held| held.listed() == version) {
                            dropped += usize::from(shard.drop_key(key.hashed()));
                        }
                    }
                }
            }
        }
        dropped
    }

    fn survey(
        &self,
        mut walk: Walk,
        concerns: impl Fn(u64) -> bool,
        now_ms: u64,
        mut found: impl FnMut(&Shard, &StoredKey, Held),
    ) {
        while self.step(&mut walk, |shard, key| {
            if concerns(key.ring_hash())
                && let Some(held) = shard.held(key.hashed())
                && held.counts(now_ms, shard.keep)
            {
                found(shard, key, held);
            }
        }) {}
    }
}

fn walk(bucket: u16) -> Walk {
    let first = u64::from(bucket) << BUCKET_SHIFT;
    Walk::of_all(first, first | (u64::MAX >> SYNC_BUCKETS.ilog2()))
}

fn digest(ring_hash: u64, held: Held) -> u64 {
    let mut bytes = [0; 17];
    bytes[..8].copy_from_slice(&ring_hash.to_le_bytes());
    bytes[8..16].copy_from_slice(&held.version().to_le_bytes());
    bytes[16] = u8::from(matches!(held, Held::Tombstone(_)));
    xxh3_64(&bytes)
}
