//! Namespaces: what is counted for each, and what each may hold.

use std::sync::Arc;
use std::thread;

use api::cache::ReplicaItem;
use store::cache::{Condition, NamespaceStats, Policy, QuotaBounds, Refusal, Role};

use crate::replicas::{bounded, live, named};
use crate::writes::put;

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
        assert_eq!(*cache.quotas(), [(Arc::from("small"), quota(None, Some(10_000)))]);
        cache.set_quotas([]);
        assert_eq!(*cache.quotas(), []);
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
