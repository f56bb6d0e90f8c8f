//! The cache against the simplest thing that could be right.

use std::collections::HashMap;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use store::cache::{Bounds, Cache, Condition, Counter, Deleted, Key, Put, Refusal, Stored};

const NAMESPACES: [&str; 2] = ["", "ns"];
const KEYS: [&str; 6] = ["a", "b", "c", "nsa", "user:1", "ключ"];

#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    Put {
        key: usize,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
        age: u64,
        condition: Condition,
    },
    Delete {
        key: usize,
        age: u64,
        condition: Condition,
    },
    Incr {
        key: usize,
        by: i64,
        age: u64,
    },
    Pass(u64),
    Sweep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..KEYS.len() * NAMESPACES.len();
    let age = || prop_oneof![8 => Just(0u64), 1 => 1u64..4];
    let condition = || {
        prop_oneof![
            4 => Just(Condition::None),
            1 => Just(Condition::Absent),
            1 => Just(Condition::Present),
            1 => (1u64..40).prop_map(Condition::Version),
        ]
    };
    let value = prop_oneof![
        1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        1 => (-50i64..50).prop_map(|n| n.to_string().into_bytes()),
        2 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let step = prop_oneof![
        4 => key().prop_map(Step::Get),
        4 => (key(), value, proptest::option::of(0u64..2_000), age(), condition())
            .prop_map(|(key, value, ttl_ms, age, condition)| Step::Put { key, value, ttl_ms, age, condition }),
        1 => (key(), age(), condition()).prop_map(|(key, age, condition)| Step::Delete { key, age, condition }),
        1 => (key(), prop_oneof![Just(1i64), any::<i64>()], age()).prop_map(|(key, by, age)| Step::Incr { key, by, age }),
        1 => (0u64..1_000).prop_map(Step::Pass),
        1 => (0usize..20).prop_map(Step::Sweep),
    ];
    proptest::collection::vec(step, 1..120)
}

fn key(n: usize) -> Key<'static> {
    Key {
        namespace: NAMESPACES[n / KEYS.len()],
        key: KEYS[n % KEYS.len()],
    }
}

#[derive(Debug, Clone)]
struct Held {
    value: Vec<u8>,
    version: u64,
    created: bool,
    expires_at_ms: u64,
}

/// A map with expiry and nothing else.
#[derive(Default)]
struct Model(HashMap<usize, Held>);

impl Model {
    fn get(&self, key: usize, now_ms: u64) -> Option<&Held> {
        self.0
            .get(&key)
            .filter(|held| held.expires_at_ms == 0 || held.expires_at_ms > now_ms)
    }

    fn admit(&self, key: usize, version: u64, condition: Condition, now_ms: u64) -> Result<Option<Held>, Refusal> {
        let held = self.get(key, now_ms).cloned();
        let version_held = held.as_ref().map(|held| held.version);
        let holds = match condition {
            Condition::None => true,
            Condition::Absent => held.is_none(),
            Condition::Present => held.is_some(),
            Condition::Version(wanted) => version_held == Some(wanted),
        };
        match version_held {
            _ if !holds => Err(Refusal::PreconditionFailed { held: version_held }),
            Some(held) if held >= version => Err(Refusal::Stale { held }),
            _ => Ok(held),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_cache_with_room_is_a_map_with_expiry(steps in steps()) {
        let cache = Cache::new(Bounds { entries: 10_000, bytes: 1 << 20 });
        let mut model = Model::default();
        let (mut now, mut clock) = (1_000_000u64, 10u64);
        for step in steps {
            clock += 1;
            match step {
                Step::Get(n) => {
                    let hit = cache.get(key(n), now);
                    let expected = model.get(n, now);
                    prop_assert_eq!(hit.as_ref().map(|hit| (hit.value(), hit.version())), expected.map(|held| (&held.value[..], held.version)));
                }
                Step::Put { key: n, value, ttl_ms, age, condition } => {
                    let version = clock - age;
                    let expires_at_ms = ttl_ms.map_or(0, |ttl| now + ttl);
                    let put = Put { value: &value, content_type: "text/plain", expires_at_ms, version, condition };
                    let expected = match model.get(n, now) {
                        Some(held) if held.version == version && held.value == value && held.expires_at_ms == expires_at_ms => {
                            Ok(Stored { version, created: held.created })
                        }
                        _ => model.admit(n, version, condition, now).map(|held| {
                            let created = held.is_none();
                            model.0.insert(n, Held { value: value.clone(), version, created, expires_at_ms });
                            Stored { version, created }
                        }),
                    };
                    prop_assert_eq!(cache.put(key(n), put, now), expected);
                }
                Step::Delete { key: n, age, condition } => {
                    let version = clock - age;
                    let expected = model.admit(n, version, condition, now).map(|held| {
                        model.0.remove(&n);
                        Deleted { existed: held.is_some() }
                    });
                    prop_assert_eq!(cache.delete(key(n), version, condition, now), expected);
                }
                Step::Incr { key: n, by, age } => {
                    let version = clock - age;
                    let held = model.get(n, now).cloned();
                    let current = held.as_ref().map_or(Some(0), |held| std::str::from_utf8(&held.value).ok()?.parse::<i64>().ok());
                    let expected = match (current, &held) {
                        (None, _) => Err(Refusal::NotAnInteger),
                        (Some(_), Some(held)) if held.version >= version => Err(Refusal::Stale { held: held.version }),
                        (Some(current), _) => current.checked_add(by).ok_or(Refusal::Overflow).map(|value| {
                            let (created, expires_at_ms) = (held.is_none(), held.as_ref().map_or(0, |held| held.expires_at_ms));
                            model.0.insert(n, Held { value: value.to_string().into_bytes(), version, created, expires_at_ms });
                            Counter { value, version }
                        }),
                    };
                    prop_assert_eq!(cache.incr(key(n), by, version, now), expected);
                }
                Step::Pass(ms) => now += ms,
                Step::Sweep(limit) => prop_assert!(cache.sweep(now, limit) <= limit),
            }
        }
        cache.sweep(now, usize::MAX);
        let live = (0..KEYS.len() * NAMESPACES.len()).filter(|n| model.get(*n, now).is_some()).count();
        prop_assert_eq!(cache.stats().entries, live);
    }

    #[test]
    fn a_full_cache_forgets_but_never_lies(
        entries in 1usize..300,
        bytes in 1_000usize..40_000,
        writes in proptest::collection::vec((0u32..500, 0usize..3_000, any::<bool>()), 1..400),
    ) {
        let cache = Cache::new(Bounds { entries, bytes });
        let mut last: HashMap<u32, (u64, usize)> = HashMap::new();
        for (version, (n, len, expires)) in (1u64..).zip(writes) {
            let name = format!("key-{n}");
            let value = vec![n as u8; len];
            let put = Put { value: &value, content_type: "", expires_at_ms: if expires { 100 } else { 0 }, version, condition: Condition::None };
            match cache.put(Key::plain(&name), put, 1) {
                Ok(_) => {
                    last.insert(n, (version, len));
                    let hit = cache.get(Key::plain(&name), 1);
                    prop_assert_eq!(hit.map(|hit| hit.version()), Some(version), "what was just written was evicted");
                }
                Err(refusal) => prop_assert!(matches!(refusal, Refusal::TooLarge { .. }) && len + 64 > bytes / 2, "{}", refusal),
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
            cache.delete(Key::plain(&format!("key-{n}")), u64::MAX, Condition::None, 1).expect("unconditional");
        }
        prop_assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    }
}
