//! What may happen to the cache.

use api::cache::{Lifetime, Packing, ReplicaItem, ReplicaState};
use hash_ring::hash_key;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use store::cache::{Condition, Key, Role};

pub(crate) const NAMESPACES: [&str; 2] = ["", "ns"];
pub(crate) const KEYS: [&str; 6] = ["a", "b", "c", "nsa", "user:1", "ключ"];
pub(crate) const ALL: std::ops::Range<usize> = 0..KEYS.len() * NAMESPACES.len();

#[derive(Debug, Clone)]
pub(crate) enum Step {
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
pub(crate) enum State {
    Live(Vec<u8>, Option<u64>),
    Deleted,
    Evicted,
}

/// The version the other node was told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listed {
    Nothing,
    Held,
    Another,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
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

pub(crate) fn key(n: usize) -> Key<'static> {
    Key {
        namespace: NAMESPACES[n / KEYS.len()],
        key: KEYS[n % KEYS.len()],
    }
}

pub(crate) fn place(n: usize) -> u64 {
    hash_key(key(n).namespace, key(n).key)
}

pub(crate) fn lifetime(now_ms: u64, ttl_ms: Option<u64>) -> Lifetime {
    Lifetime {
        fresh_until_ms: 0,
        expires_at_ms: ttl_ms.map_or(0, |ttl| now_ms + ttl),
    }
}

pub(crate) fn item(n: usize, state: &State, version: u64, now_ms: u64) -> ReplicaItem<'_> {
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
