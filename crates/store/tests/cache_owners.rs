//! What an owner's role decides: who pays when there is no room, and who is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use store::cache::{
    Applied, Bounds, Cache, Change, ChangeKind, Condition, Key, NamespaceStats, Policy, Put, QuotaBounds, Refusal, Role,
    TOMBSTONE_TTL_MS,
};

fn bounded(entries: usize, bytes: usize, policy: Policy) -> Cache {
    Cache::new(Bounds { entries, bytes, policy })
}

fn put(value: &[u8], version: u64) -> Put<'_> {
    Put {
        value,
        content_type: "",
        packing: Packing::Plain,
        lifetime: Lifetime::default(),
        version,
        condition: Condition::None,
    }
}

fn live<'a>(key: &'a str, value: &'a [u8], version: u64) -> ReplicaItem<'a> {
    ReplicaItem {
        namespace: "",
        key,
        version,
        state: ReplicaState::Live {
            value,
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime::default(),
            created: true,
        },
    }
}

fn until(expires_at_ms: u64) -> Lifetime {
    Lifetime {
        fresh_until_ms: 0,
        expires_at_ms,
    }
}

fn named<'a>(namespace: &'a str, key: &'a str) -> Key<'a> {
    Key { namespace, key }
}

#[test]
fn primaries_pay_for_replicas_and_every_eviction_is_told() {
    for policy in Policy::ALL {
        let cache = bounded(1_000, 64 << 20, policy);
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        let mut tell = |changes: Vec<Change>| {
            for change in changes {
                assert_eq!((change.kind, change.namespace()), (ChangeKind::Evicted, ""));
                assert_eq!(told.insert(change.key().to_owned(), change.version), None);
            }
        };
        for n in 0..1_000u64 {
            cache
                .put(Key::plain(&format!("primary-{n}")), put(b"v", n + 1), 0)
                .expect("room");
        }
        for n in 0..600u64 {
            assert_eq!(
                cache.apply(&live(&format!("replica-{n}"), b"v", 10_000 + n), Role::Replica, 0),
                Applied::Done
            );
            tell(cache.take_changes());
        }
        let stats = cache.stats();
        assert_eq!((stats.primaries, stats.replicas), (400, 600), "{policy}");
        // From a quarter on, replicas pay, and nobody has to be told.
        for n in 600..1_200u64 {
            cache.apply(&live(&format!("replica-{n}"), b"v", 10_000 + n), Role::Replica, 0);
            tell(cache.take_changes());
        }
        let stats = cache.stats();
        assert_eq!((stats.primaries, stats.replicas), (249, 751), "{policy}");
        assert_eq!(told.len(), 1_000 - 249);
        for n in 0..1_000u64 {
            let key = format!("primary-{n}");
            assert_eq!(cache.get(Key::plain(&key), 0).is_none(), told.get(&key) == Some(&(n + 1)));
        }
        assert_eq!(stats.changes_lost, 0);
    }
}

#[test]
fn without_primaries_replicas_pay() {
    let cache = bounded(100, 64 << 20, Policy::Lru);
    for n in 0..300u64 {
        cache.apply(&live(&n.to_string(), b"v", n + 1), Role::Replica, 0);
    }
    assert_eq!(cache.stats().replicas, 100);
    assert!(cache.take_changes().is_empty());
    let newest_lost = (250..300u64)
        .filter(|n| cache.get(Key::plain(&n.to_string()), 0).is_none())
        .count();
    assert_eq!(newest_lost, 0);
}

#[test]
fn an_eviction_elsewhere_drops_what_was_evicted_and_what_it_had_overwritten() {
    let cache = bounded(100, 64 << 20, Policy::Lru);
    let evicted = |key, version| ReplicaItem {
        namespace: "",
        key,
        version,
        state: ReplicaState::Evicted,
    };
    for (key, version, stays) in [("older", 4, false), ("same", 5, false), ("newer", 6, true)] {
        cache.apply(&live(key, b"v", version), Role::Replica, 0);
        assert_eq!(cache.apply(&evicted(key, 5), Role::Replica, 0), Applied::Done);
        assert_eq!(cache.get(Key::plain(key), 0).is_some(), stays, "{key}");
    }
    cache
        .delete(Key::plain("deleted"), 4, Condition::None, 0)
        .expect("nothing newer");
    cache.apply(&evicted("deleted", 5), Role::Replica, 0);
    assert_eq!(cache.stats().tombstones, 1, "a tombstone is no entry");
}

#[test]
fn a_state_too_large_for_this_node_leaves_nothing_older_behind() {
    let cache = bounded(100, 10_000, Policy::Lru);
    cache.apply(&live("a", b"old", 1), Role::Replica, 0);
    assert_eq!(cache.apply(&live("a", &[0; 20_000], 2), Role::Replica, 0), Applied::Done);
    assert_eq!(cache.stats().entries, 0);
}

#[test]
fn a_ring_change_moves_entries_between_roles_and_drops_the_rest() {
    for policy in Policy::ALL {
        let cache = bounded(10_000, 64 << 20, policy);
        for n in 0..3_000u64 {
            cache.put(Key::plain(&n.to_string()), put(b"value", n + 1), 0).expect("room");
        }
        for n in 3_000..3_300u64 {
            cache
                .delete(Key::plain(&n.to_string()), n + 1, Condition::None, 0)
                .expect("nothing there");
        }
        let hash = |n: u64| hash_ring::hash_key("", &n.to_string());
        let role_of = |hash: u64| [None, Some(Role::Primary), Some(Role::Replica)][(hash % 3) as usize];
        let of = |range: std::ops::Range<u64>, rest| range.filter(|n| hash(*n) % 3 == rest).count();
        let bytes = cache.stats().bytes;
        assert_eq!(cache.assign(role_of), of(0..3_300, 0));
        let stats = cache.stats();
        assert_eq!((stats.primaries, stats.replicas), (of(0..3_000, 1), of(0..3_000, 2)));
        assert_eq!(stats.tombstones, 300 - of(3_000..3_300, 0));
        assert_eq!(stats.bytes, stats.primary_bytes + stats.replica_bytes + stats.tombstone_bytes);
        assert_eq!(cache.assign(|_| Some(Role::Replica)), 0);
        let stats = cache.stats();
        assert_eq!((stats.primaries, stats.primary_bytes), (0, 0));
        assert!(stats.bytes < bytes);
        assert!(cache.take_changes().is_empty(), "a move is no eviction");
        let kept = (0..3_000u64)
            .filter(|n| cache.get(Key::plain(&n.to_string()), 0).is_some())
            .count();
        assert_eq!(kept, stats.replicas);
    }
}

#[test]
fn expirations_are_told_to_who_listens_and_only_by_the_primary() {
    let cache = bounded(100, 1 << 20, Policy::Lru);
    let expiring = |version| Put {
        lifetime: until(10),
        ..put(b"v", version)
    };
    cache.put(named("ns", "unheard"), expiring(1), 0).expect("room");
    assert_eq!(cache.sweep(10, 100), 1);
    assert!(cache.take_changes().is_empty());
    cache.set_listening(true);
    for key in ["swept", "read"] {
        cache.put(named("ns", key), expiring(2), 0).expect("room");
    }
    cache.put(named("ns", "copy"), expiring(2), 0).expect("room");
    let copy = hash_ring::hash_key("ns", "copy");
    cache.assign(|hash| Some(if hash == copy { Role::Replica } else { Role::Primary }));
    assert!(cache.get(named("ns", "read"), 10).is_none());
    assert_eq!(cache.sweep(10, 100), 2);
    let mut told: Vec<_> = cache.take_changes();
    told.sort_by(|one, two| one.key().cmp(two.key()));
    let told: Vec<_> = told
        .iter()
        .map(|change| (change.kind, change.namespace(), change.key(), change.version))
        .collect();
    assert_eq!(
        told,
        [
            (ChangeKind::Expired, "ns", "read", 2),
            (ChangeKind::Expired, "ns", "swept", 2)
        ]
    );
}

#[test]
fn changes_nobody_takes_are_bounded_and_counted() {
    let cache = bounded(1_000, 64 << 20, Policy::Lru);
    for n in 0..60_000u64 {
        cache.put(Key::plain(&n.to_string()), put(b"v", n + 1), 0).expect("room");
    }
    let changes = cache.take_changes();
    assert!((8_192..=16_384).contains(&changes.len()), "{}", changes.len());
    assert_eq!(cache.stats().changes_lost + changes.len() as u64, 59_000);
    let newest = changes.iter().map(|change| change.version).max().expect("some");
    assert!(newest > 58_000, "the oldest go, not the newest: {newest}");
    assert!(cache.take_changes().is_empty());
}

#[test]
fn tombstones_go_when_their_time_is_over_unless_the_ring_changes() {
    let cache = bounded(100, 1 << 20, Policy::Lru);
    for n in 0..50u64 {
        cache
            .delete(Key::plain(&n.to_string()), n + 1, Condition::None, 1_000 + n)
            .expect("nothing there");
    }
    cache.sweep(1_000 + TOMBSTONE_TTL_MS - 1, 1_000);
    assert_eq!(cache.stats().tombstones, 50);
    cache.keep_tombstones(true);
    cache.sweep(u64::MAX, 1_000);
    assert_eq!(cache.stats().tombstones, 50);
    cache.keep_tombstones(false);
    assert_eq!(cache.sweep(1_020 + TOMBSTONE_TTL_MS, 1_000), 21);
    assert_eq!(cache.stats().tombstones, 29);
    cache.sweep(u64::MAX, 1_000);
    assert_eq!((cache.stats().tombstones, cache.stats().bytes), (0, 0));
}

#[test]
fn tombstones_have_a_share_of_the_memory_and_the_oldest_go() {
    let bytes = 1 << 20;
    let cache = bounded(100_000, bytes, Policy::Lru);
    cache.keep_tombstones(true);
    for n in 0..20_000u64 {
        cache
            .delete(Key::plain(&n.to_string()), n + 1, Condition::None, n)
            .expect("nothing there");
        assert!(cache.stats().tombstone_bytes <= bytes / 8);
    }
    let stats = cache.stats();
    assert_eq!(stats.tombstones as u64 + stats.tombstones_lost, 20_000);
    assert!(stats.tombstones > 300, "{stats:?}");
    let newest_lost = (19_900..20_000u64)
        .filter(|n| cache.record(Key::plain(&n.to_string())).is_none())
        .count();
    assert_eq!(newest_lost, 0);
}

#[test]
fn a_namespace_over_its_quota_pays_itself() {
    for policy in Policy::ALL {
        let cache = bounded(10_000, 64 << 20, policy);
        let quota = |entries, bytes| QuotaBounds { entries, bytes };
        for n in 0..500u64 {
            cache.put(named("small", &n.to_string()), put(b"v", n + 1), 0).expect("room");
            cache.put(named("free", &n.to_string()), put(b"v", n + 1), 0).expect("room");
        }
        cache.set_quotas([(Arc::from("small"), quota(Some(100), None))]);
        let of = |name: &str| -> NamespaceStats {
            let all = cache.namespaces();
            all.into_iter().find(|(namespace, _)| &**namespace == name).expect("known").1
        };
        assert_eq!(
            (of("small").entries, of("small").evictions),
            (100, 400),
            "{policy}: what is there comes under it"
        );
        assert_eq!(cache.take_changes().len(), 400);
        for n in 500..1_000u64 {
            let key = n.to_string();
            cache.put(named("small", &key), put(b"v", n + 1), 0).expect("room");
            assert!(cache.get(named("small", &key), 0).is_some());
            assert!(of("small").entries <= 100);
        }
        assert_eq!(cache.stats().evictions_by_quota, 900);
        assert_eq!((of("free").entries, of("free").evictions), (500, 0));
        // By bytes, and replicas do not count.
        cache.set_quotas([(Arc::from("small"), quota(None, Some(10_000)))]);
        assert!(of("small").bytes <= 10_000 && of("small").entries > 10);
        let refused = cache.put(named("small", "large"), put(&[0; 10_000], 5_000), 0);
        assert!(matches!(refused, Err(Refusal::TooLarge { limit: 10_000, .. })), "{refused:?}");
        let copy = ReplicaItem {
            namespace: "small",
            ..live("copy", &[0; 9_000], 1)
        };
        let before = of("small").entries;
        cache.apply(&copy, Role::Replica, 0);
        assert_eq!(of("small").entries, before);
        assert!(cache.get(named("small", "copy"), 0).is_some());
        cache.assign(|_| Some(Role::Primary));
        assert!(
            of("small").bytes <= 10_000,
            "a copy that becomes the primary comes under the quota"
        );
        // Without a quota there is room again.
        cache.set_quotas([]);
        for n in 0..300u64 {
            cache
                .put(named("small", &format!("again-{n}")), put(b"v", 10_000 + n), 0)
                .expect("room");
        }
        assert!(of("small").entries >= 300);
        cache.assign(|_| None);
        assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    }
}

#[test]
fn quotas_and_roles_may_change_while_others_write() {
    let cache = bounded(4_000, 64 << 20, Policy::S3Fifo);
    let name = |n: u64| format!("ns-{}", n % 5);
    thread::scope(|scope| {
        for worker in 0..3u64 {
            let cache = &cache;
            scope.spawn(move || {
                for n in 0..15_000u64 {
                    let (namespace, key, version) = (name(n), (n % 3_000).to_string(), n * 3 + worker + 1);
                    let key = named(&namespace, &key);
                    let outcome = match n % 7 {
                        0 => cache.delete(key, version, Condition::None, 0).map(|_| ()),
                        _ => cache.put(key, put(b"value", version), 0).map(|_| ()),
                    };
                    assert!(matches!(outcome, Ok(()) | Err(Refusal::Stale { .. })), "{outcome:?}");
                }
            });
        }
        for round in 0..40u64 {
            let quota = |n| {
                (
                    Arc::from(name(n)),
                    QuotaBounds {
                        entries: Some(100),
                        bytes: None,
                    },
                )
            };
            cache.set_quotas((round..round + 2).map(quota));
            cache.assign(|hash| Some(if hash % 4 == round % 4 { Role::Replica } else { Role::Primary }));
            drop(cache.take_changes());
        }
    });
    cache.set_quotas((0..5).map(|n| {
        (
            Arc::from(name(n)),
            QuotaBounds {
                entries: Some(50),
                bytes: None,
            },
        )
    }));
    cache.assign(|_| Some(Role::Primary));
    let namespaces = cache.namespaces();
    assert_eq!(namespaces.len(), 5);
    assert!(namespaces.iter().all(|(_, stats)| stats.entries <= 50), "{namespaces:?}");
    assert_eq!(
        namespaces.iter().map(|(_, stats)| stats.entries).sum::<usize>(),
        cache.stats().entries
    );
    assert_eq!(
        namespaces.iter().map(|(_, stats)| stats.bytes).sum::<usize>(),
        cache.stats().primary_bytes
    );
    cache.assign(|_| None);
    assert_eq!(
        (cache.stats().entries, cache.stats().tombstones, cache.stats().bytes),
        (0, 0, 0)
    );
}

#[test]
fn the_last_namespaces_are_counted_together() {
    let cache = bounded(10_000, 64 << 20, Policy::Lru);
    for n in 0..300u64 {
        let namespace = format!("ns-{n}");
        assert!(cache.get(named(&namespace, "a"), 0).is_none());
        cache.put(named(&namespace, "a"), put(b"v", n + 1), 0).expect("room");
        assert!(cache.get(named(&namespace, "a"), 0).is_some());
    }
    cache.set_quotas([(Arc::from("ns-299"), QuotaBounds::default())]);
    let namespaces = cache.namespaces();
    let of = |name: &str| {
        namespaces
            .iter()
            .find(|(namespace, _)| &**namespace == name)
            .map(|(_, stats)| *stats)
    };
    assert_eq!(of("ns-255").expect("the last with a number of its own").entries, 1);
    assert!(of("ns-256").is_none());
    assert_eq!(of("ns-299").expect("it has a quota").entries, 1);
    let others = of("/others").expect("the rest");
    assert_eq!((others.entries, others.hits, others.misses), (43, 44, 300));
    assert_eq!(namespaces.iter().map(|(_, stats)| stats.entries).sum::<usize>(), 300);
}
