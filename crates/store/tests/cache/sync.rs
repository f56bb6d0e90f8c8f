//! Two stores become equal by digests, lists and pages; walks meet everything though others write meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use api::cache::SYNC_BUCKETS;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use store::cache::{
    Applied, Bounds, Cache, Condition, Keep, Key, Policy, Put, Record, RecordState, Refusal, Role, TOMBSTONE_TTL_MS, bucket_of,
};

use crate::writes::{put, until};

fn roomy(policy: Policy) -> Cache {
    Cache::new(Bounds {
        entries: 1_000_000,
        bytes: 256 << 20,
        policy,
    })
}

fn expiring(value: &[u8], version: u64, expires_at_ms: u64) -> Put<'_> {
    Put {
        lifetime: until(expires_at_ms),
        ..put(value, version)
    }
}

fn everything(_: u64) -> bool {
    true
}

/// Pulls what differs as a new owner does; how many pages it took.
fn sync(from: &Cache, to: &Cache, authoritative: bool, max_bytes: usize, now_ms: u64) -> usize {
    let mut pages = 0;
    let differing = |one: &Cache, two: &Cache| {
        let digests = one
            .digests(everything, now_ms)
            .into_iter()
            .zip(two.digests(everything, now_ms));
        let differing = (0u16..).zip(digests).filter(|(_, (one, two))| one != two);
        differing.map(|(bucket, _)| bucket).collect::<Vec<_>>()
    };
    for bucket in differing(from, to) {
        let mut after = None;
        loop {
            let behind = |hash| Some(hash) > after;
            let have = to.list(bucket, behind, now_ms);
            assert!(have.iter().all(|(hash, _)| bucket_of(*hash) == bucket));
            let listed: HashMap<u64, u64> = have.iter().copied().collect();
            let page = from.page(bucket, behind, &have, max_bytes, now_ms);
            assert!(page.items.is_sorted_by_key(Record::hash));
            for item in &page.items {
                if authoritative {
                    let held = listed.get(&item.hash()).copied();
                    assert!(to.repair(&item.to_item(), held, Role::Replica, now_ms));
                } else {
                    to.apply(&item.to_item(), Role::Replica, now_ms);
                }
            }
            if authoritative {
                let surplus: Vec<_> = page.surplus.iter().map(|hash| (*hash, listed[hash])).collect();
                assert_eq!(to.drop_listed(&surplus), surplus.len());
            }
            pages += 1;
            let Some(last) = page.items.last().filter(|_| page.more) else {
                break;
            };
            after = Some(last.hash());
        }
    }
    pages
}

fn fill(cache: &Cache, writes: &[(u16, u64, u8)]) {
    for (n, version, kind) in writes {
        let key = n.to_string();
        // Two writers never give the same stamp.
        let version = version * 1_000 + u64::from(*n);
        let outcome = match kind {
            0..50 => cache.delete(Key::plain(&key), version, Condition::None, 1_000).map(drop),
            50..90 => cache
                .put(Key::plain(&key), expiring(b"expired", version, 1_500), 1_000)
                .map(drop),
            _ => cache
                .put(Key::plain(&key), put(&version.to_le_bytes(), version), 1_000)
                .map(drop),
        };
        assert!(outcome.is_ok() || matches!(outcome, Err(Refusal::Stale { .. })));
    }
}

fn state(cache: &Cache, now_ms: u64) -> BTreeMap<String, (u64, Option<Vec<u8>>)> {
    let mut all = BTreeMap::new();
    cache.for_each(|record| {
        let value = match &record.state {
            RecordState::Live(hit) => Some(hit.value().to_vec()),
            RecordState::Deleted { .. } => None,
        };
        let over = matches!(&record.state, RecordState::Live(hit) if hit.lifetime().expires_at_ms != 0 && hit.lifetime().expires_at_ms <= now_ms);
        if !over {
            assert_eq!(all.insert(record.key().to_owned(), (record.version, value)), None);
        }
    });
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn after_a_sync_from_who_has_it_right_two_stores_are_equal(
        ours in proptest::collection::vec((0u16..400, 1u64..1_000, any::<u8>()), 0..400),
        theirs in proptest::collection::vec((0u16..400, 1u64..1_000, any::<u8>()), 0..400),
        max_bytes in 1usize..2_000,
    ) {
        let (right, wrong) = (roomy(Policy::Lru), roomy(Policy::S3Fifo));
        fill(&right, &theirs);
        fill(&wrong, &ours);
        let expected = state(&right, 2_000);
        sync(&right, &wrong, true, max_bytes, 2_000);
        prop_assert_eq!(state(&wrong, 2_000), expected.clone());
        prop_assert_eq!(state(&right, 2_000), expected, "the source stays as it is");
        prop_assert_eq!(wrong.digests(everything, 2_000), right.digests(everything, 2_000));
        prop_assert_eq!(sync(&right, &wrong, true, max_bytes, 2_000), 0, "nothing is left to fetch");
    }

    #[test]
    fn after_merging_both_ways_each_key_has_its_newest_version(
        ours in proptest::collection::vec((0u16..100, 1u64..1_000, any::<u8>()), 0..200),
        theirs in proptest::collection::vec((0u16..100, 1u64..1_000, any::<u8>()), 0..200),
    ) {
        let (one, two) = (roomy(Policy::Lru), roomy(Policy::Lru));
        fill(&one, &ours);
        fill(&two, &theirs);
        let mut newest = state(&one, 2_000);
        for (key, held) in state(&two, 2_000) {
            // Of a value and a delete with one stamp, the delete stays.
            let newer = newest.get(&key).is_none_or(|other| (other.0, other.1.is_none()) < (held.0, held.1.is_none()));
            if newer {
                newest.insert(key, held);
            }
        }
        sync(&one, &two, false, 1_000, 2_000);
        sync(&two, &one, false, 1_000, 2_000);
        prop_assert_eq!(state(&one, 2_000), newest.clone());
        prop_assert_eq!(state(&two, 2_000), newest);
        prop_assert!(one.digests(everything, 2_000) == two.digests(everything, 2_000));
    }
}

#[test]
fn a_digest_tells_versions_and_deletions_of_what_concerns_the_caller() {
    let (one, two) = (roomy(Policy::Lru), roomy(Policy::Lru));
    let digests = |cache: &Cache, now_ms| cache.digests(everything, now_ms);
    assert_eq!(digests(&one, 0), vec![0; SYNC_BUCKETS]);
    one.put(Key::plain("a"), put(b"v", 5), 0).expect("room");
    two.delete(Key::plain("a"), 5, Condition::None, 0).expect("nothing there");
    assert_ne!(digests(&one, 0), digests(&two, 0), "live or deleted");
    two.put(Key::plain("a"), put(b"v", 6), 0).expect("room");
    assert_ne!(digests(&one, 0), digests(&two, 0), "another version");
    one.put(Key::plain("a"), put(b"v", 6), 0).expect("room");
    assert_eq!(digests(&one, 0), digests(&two, 0));
    one.put(Key::plain("gone"), expiring(b"v", 7, 100), 0).expect("room");
    assert_ne!(digests(&one, 99), digests(&two, 99));
    assert_eq!(
        digests(&one, 100),
        digests(&two, 100),
        "what has expired does not count, swept or not"
    );
    assert_eq!(one.digests(|_| false, 0), vec![0; SYNC_BUCKETS]);
    one.delete(Key::plain("b"), 8, Condition::None, 0).expect("nothing there");
    assert_ne!(digests(&one, TOMBSTONE_TTL_MS - 1), digests(&two, TOMBSTONE_TTL_MS - 1));
    assert_eq!(
        digests(&one, TOMBSTONE_TTL_MS),
        digests(&two, TOMBSTONE_TTL_MS),
        "nor what was deleted long ago"
    );
    one.keep(Keep::Tombstones);
    assert_ne!(
        digests(&one, TOMBSTONE_TTL_MS),
        digests(&two, TOMBSTONE_TTL_MS),
        "unless it is kept"
    );
}

#[test]
fn what_expires_while_backups_are_put_together_keeps_out_what_it_replaced() {
    let (one, two) = (roomy(Policy::Lru), roomy(Policy::Lru));
    for cache in [&one, &two] {
        cache.keep(Keep::Versions);
    }
    one.put(Key::plain("a"), put(b"replaced", 5), 0).expect("room");
    two.put(Key::plain("a"), expiring(b"newer", 6, 100), 0).expect("room");
    // One of them looks before it expires, the other one after.
    sync(&one, &two, false, 1_000, 99);
    assert_eq!(two.sweep(100, 10), 0);
    assert!(two.get(Key::plain("a"), 100).is_none());
    sync(&two, &one, false, 1_000, 100);
    for cache in [&one, &two] {
        assert_eq!(cache.get(Key::plain("a"), 100), None);
        cache.keep(Keep::Nothing);
    }
    assert_eq!(one.digests(everything, 100), two.digests(everything, 100));
    assert_eq!((one.sweep(100, 10), two.sweep(100, 10)), (1, 1));
}

#[test]
fn a_repair_does_not_undo_what_was_written_meanwhile() {
    let (source, cache) = (roomy(Policy::Lru), roomy(Policy::Lru));
    source.put(Key::plain("a"), put(b"source", 5), 0).expect("room");
    cache.put(Key::plain("a"), put(b"listed", 7), 0).expect("room");
    let record = source.record(Key::plain("a")).expect("held");
    cache.put(Key::plain("a"), put(b"meanwhile", 8), 0).expect("newer");
    assert!(!cache.repair(&record.to_item(), Some(7), Role::Replica, 0));
    assert_eq!(cache.drop_listed(&[(record.hash(), 7)]), 0);
    assert_eq!(cache.get(Key::plain("a"), 0).expect("held").value(), b"meanwhile");
    assert_eq!(cache.apply(&record.to_item(), Role::Replica, 0), Applied::Newer(8));
    assert!(
        cache.repair(&record.to_item(), Some(8), Role::Replica, 0),
        "the source has it right, though it is older"
    );
    assert_eq!(cache.get(Key::plain("a"), 0).expect("held").value(), b"source");
}

#[test]
fn clearing_spares_what_was_written_later() {
    let cache = roomy(Policy::Lru);
    for n in 0..5_000u64 {
        match n % 3 {
            0 => cache
                .delete(Key::plain(&n.to_string()), n + 1, Condition::None, 0)
                .map(drop)
                .expect("newest"),
            _ => cache
                .put(Key::plain(&n.to_string()), put(b"v", n + 1), 0)
                .map(drop)
                .expect("room"),
        }
    }
    assert_eq!(cache.clear(4_001), 4_000);
    let stats = cache.stats();
    assert_eq!(stats.entries + stats.tombstones, 1_000);
}

#[test]
fn keys_of_a_prefix_come_in_parts_and_only_from_the_primary() {
    let cache = roomy(Policy::Lru);
    for n in 0..3_000u64 {
        for namespace in ["", "sessions"] {
            let key = format!("{}:{n}", if n % 2 == 0 { "user" } else { "host" });
            cache.put(Key { namespace, key: &key }, put(b"v", n + 1), 0).expect("room");
        }
    }
    let is_ours = |hash: u64| !hash.is_multiple_of(5);
    cache.assign(|hash| Some(if is_ours(hash) { Role::Primary } else { Role::Replica }));
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let part = cache.keys_with_prefix("sessions", "user:", cursor, 100);
        assert!(part.keys.len() <= 100);
        found.extend(part.keys.iter().map(|key| key.to_string()));
        cursor = match part.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    found.sort_unstable();
    let keys = (0..3_000u64).step_by(2).map(|n| format!("user:{n}"));
    let mut expected: Vec<_> = keys.filter(|key| is_ours(hash_ring::hash_key("sessions", key))).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn walks_meet_what_stays_exactly_once_while_others_write() {
    for policy in Policy::ALL {
        let cache = roomy(policy);
        for n in 0..20_000u64 {
            cache
                .put(Key::plain(&format!("stays-{n}")), put(b"v", n + 1), 0)
                .expect("room");
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut version = 100_000;
                while !done.load(Ordering::Relaxed) {
                    version += 1;
                    let key = format!("noise-{}", version % 5_000);
                    if version % 3 == 0 {
                        cache.delete(Key::plain(&key), version, Condition::None, 0).expect("newest");
                    } else {
                        cache.put(Key::plain(&key), put(b"v", version), 0).expect("room");
                    }
                }
            });
            for round in 0..10 {
                let mut met = HashMap::new();
                cache.for_each(|record| {
                    if record.key().starts_with("stays-") {
                        *met.entry(record.key().to_owned()).or_insert(0) += 1;
                    }
                });
                assert_eq!(met.len(), 20_000);
                assert!(met.values().all(|times| *times == 1));
                // Each entry changes its table, and none is lost.
                cache.assign(|hash| Some(if hash % 2 == round % 2 { Role::Primary } else { Role::Replica }));
            }
            done.store(true, Ordering::Relaxed);
        });
        let found = (0..20_000u64)
            .filter(|n| cache.get(Key::plain(&format!("stays-{n}")), 0).is_some())
            .count();
        assert_eq!(found, 20_000);
        cache.assign(|_| None);
        assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    }
}
