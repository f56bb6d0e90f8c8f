//! What an owner's role decides: who pays when there is no room, and who is told.

use std::collections::BTreeMap;

use api::cache::{ReplicaItem, ReplicaState};
use store::cache::{Applied, Change, ChangeKind, Condition, Keep, Key, Policy, Put, Role, TOMBSTONE_TTL_MS};

use crate::replicas::{bounded, live, named};
use crate::writes::{put, until};

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
    cache.keep(Keep::Tombstones);
    cache.sweep(u64::MAX, 1_000);
    assert_eq!(cache.stats().tombstones, 50);
    cache.keep(Keep::Nothing);
    assert_eq!(cache.sweep(1_020 + TOMBSTONE_TTL_MS, 1_000), 21);
    assert_eq!(cache.stats().tombstones, 29);
    cache.sweep(u64::MAX, 1_000);
    assert_eq!((cache.stats().tombstones, cache.stats().bytes), (0, 0));
}

#[test]
fn tombstones_have_a_share_of_the_memory_and_the_oldest_go() {
    let bytes = 1 << 20;
    let cache = bounded(100_000, bytes, Policy::Lru);
    cache.keep(Keep::Tombstones);
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
