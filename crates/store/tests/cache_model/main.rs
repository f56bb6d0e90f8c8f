//! The cache against the simplest thing that could be right.

mod model;
mod steps;

use std::collections::HashMap;

use api::cache::{Packing, ReplicaItem, ReplicaState};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use store::cache::{Applied, Bounds, Cache, Condition, Key, Policy, Put, RecordState, Refusal, Role, Touch};

use self::model::{Dead, Model};
use self::steps::{ALL, Step, item, key, lifetime, place, steps};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_cache_with_room_is_a_map_with_versions_and_expiry(steps in steps(), policy in proptest::sample::select(&Policy::ALL[..])) {
        let cache = Cache::new(Bounds { entries: 10_000, bytes: 1 << 20, policy });
        let mut model = Model::default();
        let (mut now, mut clock) = (1_000_000u64, 10u64);
        for step in steps {
            clock += 1;
            model.forget_expired(now);
            match step {
                Step::Get(n) => {
                    let hit = cache.get(key(n), now);
                    let hit = hit.as_ref().map(|hit| (hit.value(), hit.version(), hit.lifetime(), hit.created()));
                    let expected = model.live.get(&n).map(|held| (&held.value[..], held.version, held.lifetime, held.created));
                    prop_assert_eq!(hit, expected);
                }
                Step::Put(n, value, ttl_ms, age, condition) => {
                    let (version, lifetime) = (clock - age, lifetime(now, ttl_ms));
                    let put = Put { value: &value, content_type: "text/plain", packing: Packing::Plain, lifetime, version, condition };
                    let first = model.put(n, &value, lifetime, version, condition);
                    prop_assert_eq!(cache.put(key(n), put, now), first);
                    // A value that has expired already may be held, or not.
                    if let Some(first) = model.was_put(n, &value, lifetime, version).filter(|_| ttl_ms != Some(0)) {
                        prop_assert_eq!(cache.put_again(key(n), put, now), Ok(first));
                    }
                }
                Step::Touch(n, ttl_ms, age, condition) => {
                    let touch = Touch { lifetime: lifetime(now, ttl_ms), version: clock - age, condition };
                    prop_assert_eq!(cache.touch(key(n), touch, now), model.touch(n, touch));
                }
                Step::Delete(n, age, condition) => {
                    let version = clock - age;
                    prop_assert_eq!(cache.delete(key(n), version, condition, now), model.delete(n, version, condition, now));
                    if let Some(first) = model.was_deleted(n, version) {
                        prop_assert_eq!(cache.delete_again(key(n), version, condition, now), Ok(first));
                    }
                }
                Step::Incr(n, by, age) => prop_assert_eq!(cache.incr(key(n), by, clock - age, now), model.incr(n, by, clock - age)),
                Step::Apply(n, state, age, role) => {
                    let version = clock - age;
                    let applied = cache.apply(&item(n, &state, version, now), role, now);
                    prop_assert_eq!(applied, model.apply(n, &state, version, role, now));
                }
                Step::Repair(n, state, age, role, listed) => {
                    let (version, listed) = (clock - age, model.listed(n, listed));
                    let repairs = model.held(n) == listed || model.version(n).is_none_or(|held| held < version);
                    if repairs {
                        model.take(n, &state, version, role, now);
                    }
                    prop_assert_eq!(cache.repair(&item(n, &state, version, now), listed, role, now), repairs);
                }
                Step::Assign(dropped, replicas) => {
                    cache.sweep(now, usize::MAX);
                    model.dead.retain(|_, dead| dead.at_ms + store::cache::TOMBSTONE_TTL_MS > now);
                    let of = |hash: u64| ALL.into_iter().find(|n| place(*n) == hash).unwrap_or(0);
                    let role = |n| if replicas >> n & 1 == 1 { Role::Replica } else { Role::Primary };
                    let count = ALL.filter(|n| dropped >> n & 1 == 1).filter(|n| model.drop(*n)).count();
                    model.live.iter_mut().for_each(|(n, held)| held.role = role(*n));
                    prop_assert_eq!(cache.assign(|hash| (dropped >> of(hash) & 1 == 0).then(|| role(of(hash)))), count);
                }
                Step::Drop(n, listed) => {
                    let version = model.listed(n, listed).unwrap_or(0);
                    let drops = model.held(n) == Some(version);
                    if drops {
                        model.drop(n);
                    }
                    prop_assert_eq!(cache.drop_listed(&[(place(n), version)]), usize::from(drops));
                }
                Step::Clear(age) => {
                    let before = clock.saturating_sub(age);
                    cache.clear(before);
                    model.live.retain(|_, held| held.version >= before);
                    model.dead.retain(|_, held| held.version >= before);
                }
                Step::Pass(ms) => now += ms,
                Step::Sweep(limit) => {
                    prop_assert!(cache.sweep(now, limit) <= limit);
                    // Which tombstones a limited sweep takes depends on the shards.
                    cache.sweep(now, usize::MAX);
                    model.dead.retain(|_, dead| dead.at_ms + store::cache::TOMBSTONE_TTL_MS > now);
                }
            }
            for n in ALL {
                let record = cache.record(key(n)).map(|record| (record.version, record.state));
                match (model.live.get(&n), model.dead.get(&n), record) {
                    (Some(live), None, Some((version, RecordState::Live(hit)))) => {
                        prop_assert_eq!((version, hit.value()), (live.version, &live.value[..]));
                    }
                    (None, Some(dead), Some((version, RecordState::Deleted { at_ms, existed }))) => {
                        prop_assert_eq!(Dead { version, at_ms, existed }, *dead);
                    }
                    // Expired, and not swept yet.
                    (None, None, Some((_, RecordState::Live(hit)))) => prop_assert!(hit.lifetime().expires_at_ms <= now),
                    (live, dead, record) => prop_assert!(
                        live.is_none() && dead.is_none() && record.is_none() || live.is_some_and(|live| live.lifetime.expires_at_ms == now),
                        "{:?} {:?} {:?}", live, dead, record
                    ),
                }
            }
        }
        cache.sweep(now, usize::MAX);
        model.forget_expired(now);
        let stats = cache.stats();
        let of = |role| model.live.values().filter(|held| held.role == role).count();
        prop_assert_eq!((stats.primaries, stats.replicas), (of(Role::Primary), of(Role::Replica)));
        cache.assign(|_| None);
        let stats = cache.stats();
        prop_assert_eq!((stats.entries, stats.tombstones, stats.bytes), (0, 0, 0));
        prop_assert!(cache.namespaces().iter().all(|(_, namespace)| (namespace.entries, namespace.bytes) == (0, 0)));
    }

    #[test]
    fn a_full_cache_forgets_but_never_lies(
        entries in 1usize..300,
        bytes in 2_000usize..40_000,
        policy in proptest::sample::select(&Policy::ALL[..]),
        writes in proptest::collection::vec((0u32..500, 0usize..3_000, any::<bool>(), 0u8..10), 1..400),
    ) {
        let cache = Cache::new(Bounds { entries, bytes, policy });
        let mut last: HashMap<u32, (u64, usize)> = HashMap::new();
        for (version, (n, len, expires, kind)) in (1u64..).zip(writes) {
            let name = format!("key-{n}");
            let value = vec![n as u8; len];
            let lifetime = lifetime(0, expires.then_some(100));
            if kind == 0 {
                cache.delete(Key::plain(&name), version, Condition::None, 1).expect("newest");
                last.remove(&n);
            } else if kind < 4 {
                let state = ReplicaState::Live { value: &value, content_type: "", packing: Packing::Plain, lifetime, created: true };
                let item = ReplicaItem { namespace: "", key: &name, version, state };
                prop_assert_eq!(cache.apply(&item, Role::Replica, 1), Applied::Done);
                last.insert(n, (version, len));
            } else {
                let put = Put { value: &value, content_type: "", packing: Packing::Plain, lifetime, version, condition: Condition::None };
                match cache.put(Key::plain(&name), put, 1) {
                    Ok(_) => {
                        last.insert(n, (version, len));
                        let hit = cache.get(Key::plain(&name), 1);
                        prop_assert_eq!(hit.map(|hit| hit.version()), Some(version), "what was just written was evicted");
                    }
                    Err(refusal) => prop_assert!(matches!(refusal, Refusal::TooLarge { .. }) && len + 500 > bytes / 2, "{}", refusal),
                }
            }
            let stats = cache.stats();
            prop_assert!(stats.entries <= entries && stats.bytes <= bytes, "{:?} over {} entries, {} bytes", stats, entries, bytes);
        }
        let mut found = 0;
        for (n, (version, len)) in &last {
            if let Some(hit) = cache.get(Key::plain(&format!("key-{n}")), 1) {
                found += 1;
                prop_assert_eq!((hit.version(), hit.value().len()), (*version, *len));
                prop_assert!(hit.value().iter().all(|byte| *byte == *n as u8));
            }
        }
        prop_assert_eq!(found, cache.stats().entries);
        for n in last.keys() {
            cache.delete(Key::plain(&format!("key-{n}")), u64::MAX, Condition::None, 1).expect("newest");
        }
        prop_assert_eq!(cache.stats().entries, 0);
        cache.sweep(u64::MAX, usize::MAX);
        prop_assert_eq!(cache.stats().bytes, 0);
    }
}
