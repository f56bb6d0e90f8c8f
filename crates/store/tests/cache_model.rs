//! The cache against the simplest thing that could be right.

use std::collections::HashMap;

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use hash_ring::hash_key;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use store::cache::{
    Applied, Bounds, Cache, Condition, Counter, Deleted, Key, Policy, Put, RecordState, Refusal, Role, Stored, Touch,
};

const NAMESPACES: [&str; 2] = ["", "ns"];
const KEYS: [&str; 6] = ["a", "b", "c", "nsa", "user:1", "ключ"];
const ALL: std::ops::Range<usize> = 0..KEYS.len() * NAMESPACES.len();

#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    Put(usize, Vec<u8>, Option<u64>, u64, Condition),
    Touch(usize, Option<u64>, u64, Condition),
    Delete(usize, u64, Condition),
    Incr(usize, i64, u64),
    Apply(usize, State, u64, Role),
    Repair(usize, State, u64, Role, Listed),
    /// Which keys are dropped, and of which this node is a replica, by bits.
    Assign(u64, u64),
    Drop(usize, Listed),
    Clear(u64),
    Pass(u64),
    Sweep(usize),
}

/// What comes from another node.
#[derive(Debug, Clone)]
enum State {
    Live(Vec<u8>, Option<u64>),
    Deleted,
    Evicted,
}

/// The version the other node was told.
#[derive(Debug, Clone, Copy)]
enum Listed {
    Nothing,
    Held,
    Another,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || ALL;
    let age = || prop_oneof![8 => Just(0u64), 1 => 1u64..4];
    let any_age = || prop_oneof![Just(0u64), 1u64..10];
    let condition = || {
        prop_oneof![
            4 => Just(Condition::None),
            1 => Just(Condition::Absent),
            1 => Just(Condition::Present),
            1 => (1u64..40).prop_map(Condition::Version),
        ]
    };
    let value = || {
        prop_oneof![
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            1 => (-50i64..50).prop_map(|n| n.to_string().into_bytes()),
            2 => proptest::collection::vec(any::<u8>(), 0..40),
        ]
    };
    let ttl = || proptest::option::of(0u64..2_000);
    let state = move || {
        prop_oneof![
            2 => (value(), ttl()).prop_map(|(value, ttl)| State::Live(value, ttl)),
            1 => Just(State::Deleted),
            1 => Just(State::Evicted),
        ]
    };
    let role = || prop_oneof![Just(Role::Primary), Just(Role::Replica)];
    let listed = || prop_oneof![1 => Just(Listed::Nothing), 2 => Just(Listed::Held), 1 => Just(Listed::Another)];
    let by = prop_oneof![Just(1i64), any::<i64>()];
    let step = prop_oneof![
        6 => key().prop_map(Step::Get),
        6 => (key(), value(), ttl(), age(), condition()).prop_map(|(key, value, ttl, age, condition)| Step::Put(key, value, ttl, age, condition)),
        2 => (key(), ttl(), age(), condition()).prop_map(|(key, ttl, age, condition)| Step::Touch(key, ttl, age, condition)),
        2 => (key(), age(), condition()).prop_map(|(key, age, condition)| Step::Delete(key, age, condition)),
        2 => (key(), by, age()).prop_map(|(key, by, age)| Step::Incr(key, by, age)),
        4 => (key(), state(), any_age(), role()).prop_map(|(key, state, age, role)| Step::Apply(key, state, age, role)),
        2 => (key(), state(), any_age(), role(), listed())
            .prop_map(|(key, state, age, role, listed)| Step::Repair(key, state, age, role, listed)),
        1 => (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, replicas)| Step::Assign(a & b, replicas)),
        1 => (key(), listed()).prop_map(|(key, listed)| Step::Drop(key, listed)),
        1 => (0u64..40).prop_map(Step::Clear),
        1 => prop_oneof![4 => 0u64..1_000, 1 => 300_000u64..700_000].prop_map(Step::Pass),
        1 => (0usize..20).prop_map(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..150)
}

fn key(n: usize) -> Key<'static> {
    Key {
        namespace: NAMESPACES[n / KEYS.len()],
        key: KEYS[n % KEYS.len()],
    }
}

fn place(n: usize) -> u64 {
    hash_key(key(n).namespace, key(n).key)
}

fn lifetime(now_ms: u64, ttl_ms: Option<u64>) -> Lifetime {
    Lifetime {
        fresh_until_ms: 0,
        expires_at_ms: ttl_ms.map_or(0, |ttl| now_ms + ttl),
    }
}

fn item(n: usize, state: &State, version: u64, now_ms: u64) -> ReplicaItem<'_> {
    ReplicaItem {
        namespace: key(n).namespace,
        key: key(n).key,
        version,
        state: match state {
            State::Live(value, ttl_ms) => ReplicaState::Live {
                value,
                content_type: "text/plain",
                packing: Packing::Plain,
                lifetime: lifetime(now_ms, *ttl_ms),
                created: true,
            },
            State::Deleted => ReplicaState::Deleted {
                at_ms: now_ms,
                existed: true,
            },
            State::Evicted => ReplicaState::Evicted,
        },
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Live {
    value: Vec<u8>,
    version: u64,
    created: bool,
    lifetime: Lifetime,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Dead {
    version: u64,
    at_ms: u64,
    existed: bool,
}

/// Two maps, and no bounds.
#[derive(Default)]
struct Model {
    live: HashMap<usize, Live>,
    dead: HashMap<usize, Dead>,
}

impl Model {
    fn forget_expired(&mut self, now_ms: u64) {
        self.live
            .retain(|_, held| held.lifetime.expires_at_ms == 0 || held.lifetime.expires_at_ms > now_ms);
    }

    fn version(&self, key: usize) -> Option<u64> {
        let live = self.live.get(&key).map(|held| held.version);
        live.or(self.dead.get(&key).map(|held| held.version))
    }

    /// As lists show it.
    fn held(&self, key: usize) -> Option<u64> {
        let live = self.live.get(&key).map(|held| held.version);
        live.or(self.dead.get(&key).map(|held| held.version | 1 << 63))
    }

    fn listed(&self, key: usize, listed: Listed) -> Option<u64> {
        match listed {
            Listed::Nothing => None,
            Listed::Held => self.held(key),
            Listed::Another => Some(self.held(key).unwrap_or(0) + 1),
        }
    }

    fn drop(&mut self, key: usize) -> bool {
        self.live.remove(&key).is_some() | self.dead.remove(&key).is_some()
    }

    fn set(&mut self, key: usize, live: Live) {
        self.dead.remove(&key);
        self.live.insert(key, live);
    }

    fn bury(&mut self, key: usize, dead: Dead) {
        self.live.remove(&key);
        self.dead.insert(key, dead);
    }

    fn take(&mut self, key: usize, state: &State, version: u64, role: Role, now_ms: u64) {
        let at_ms = now_ms;
        let existed = true;
        match state {
            State::Live(value, ttl_ms) => {
                let (value, lifetime) = (value.clone(), lifetime(now_ms, *ttl_ms));
                // The same write keeps what it was answered with.
                let held = self
                    .live
                    .get(&key)
                    .filter(|held| held.version == version && held.value == value && held.lifetime == lifetime);
                let created = held.is_none_or(|held| held.created);
                self.set(
                    key,
                    Live {
                        value,
                        version,
                        created,
                        lifetime,
                        role,
                    },
                );
            }
            State::Deleted => self.bury(key, Dead { version, at_ms, existed }),
            State::Evicted => {
                self.drop(key);
            }
        }
    }

    fn admit(&self, key: usize, version: u64, condition: Condition) -> Result<Option<Live>, Refusal> {
        if let Some(held) = self.version(key).filter(|held| *held >= version) {
            return Err(Refusal::Stale { held });
        }
        let live = self.live.get(&key).cloned();
        let held = live.as_ref().map(|held| held.version);
        let holds = match condition {
            Condition::None => true,
            Condition::Absent => held.is_none(),
            Condition::Present => held.is_some(),
            Condition::Version(wanted) => held == Some(wanted),
        };
        if holds {
            Ok(live)
        } else {
            Err(Refusal::PreconditionFailed { held })
        }
    }

    fn put(
        &mut self,
        key: usize,
        value: &[u8],
        lifetime: Lifetime,
        version: u64,
        condition: Condition,
    ) -> Result<Stored, Refusal> {
        let held = self.live.get(&key);
        if let Some(held) = held.filter(|held| held.version == version && held.value == value && held.lifetime == lifetime) {
            return Ok(Stored {
                version,
                created: held.created,
            });
        }
        let created = self.admit(key, version, condition)?.is_none();
        self.set(
            key,
            Live {
                value: value.to_vec(),
                version,
                created,
                lifetime,
                role: Role::Primary,
            },
        );
        Ok(Stored { version, created })
    }

    fn touch(&mut self, key: usize, touch: Touch) -> Result<Option<Stored>, Refusal> {
        let Touch {
            lifetime,
            version,
            condition,
        } = touch;
        let touched = Ok(Some(Stored { version, created: false }));
        match self.live.get(&key) {
            None if matches!(condition, Condition::None | Condition::Absent) => return Ok(None),
            Some(held) if held.version == version && held.lifetime == lifetime => return touched,
            _ => {}
        }
        if let Some(held) = self.admit(key, version, condition)? {
            self.set(
                key,
                Live {
                    version,
                    lifetime,
                    created: false,
                    role: Role::Primary,
                    ..held
                },
            );
        }
        touched
    }

    fn delete(&mut self, key: usize, version: u64, condition: Condition, at_ms: u64) -> Result<Deleted, Refusal> {
        if let Some(Dead { existed, .. }) = self.dead.get(&key).filter(|held| held.version == version) {
            return Ok(Deleted { existed: *existed });
        }
        let existed = self.admit(key, version, condition)?.is_some();
        self.bury(key, Dead { version, at_ms, existed });
        Ok(Deleted { existed })
    }

    fn incr(&mut self, key: usize, by: i64, version: u64) -> Result<Counter, Refusal> {
        let held = self.admit(key, version, Condition::None)?;
        let number = |held: &Live| std::str::from_utf8(&held.value).ok()?.parse::<i64>().ok();
        let current = held.as_ref().map_or(Some(0), number).ok_or(Refusal::NotAnInteger)?;
        let value = current.checked_add(by).ok_or(Refusal::Overflow)?;
        let lifetime = held.as_ref().map(|held| held.lifetime).unwrap_or_default();
        let created = held.is_none();
        self.set(
            key,
            Live {
                value: value.to_string().into_bytes(),
                version,
                created,
                lifetime,
                role: Role::Primary,
            },
        );
        Ok(Counter { value, version })
    }

    fn apply(&mut self, key: usize, state: &State, version: u64, role: Role, now_ms: u64) -> Applied {
        match (state, self.version(key)) {
            (State::Evicted, Some(held)) => {
                if held <= version {
                    self.live.remove(&key);
                }
            }
            (State::Evicted, None) => {}
            (_, Some(held)) if held > version => return Applied::Newer(held),
            (_, Some(held)) if held == version && self.dead.contains_key(&key) => {}
            _ => self.take(key, state, version, role, now_ms),
        }
        Applied::Done
    }
}

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
                    prop_assert_eq!(cache.put(key(n), put, now), model.put(n, &value, lifetime, version, condition));
                }
                Step::Touch(n, ttl_ms, age, condition) => {
                    let touch = Touch { lifetime: lifetime(now, ttl_ms), version: clock - age, condition };
                    prop_assert_eq!(cache.touch(key(n), touch, now), model.touch(n, touch));
                }
                Step::Delete(n, age, condition) => {
                    let version = clock - age;
                    prop_assert_eq!(cache.delete(key(n), version, condition, now), model.delete(n, version, condition, now));
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
