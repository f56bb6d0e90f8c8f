//! The state machine against the naive model, and the facts that a reader wants to see by name.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::model::Model;
use super::{Command, HistoryLimits, Outcome, State};
use crate::error::Error;
use crate::types::{Compare, Event, KeyValue, LeaseId, Op, OpResult, Range, Txn, TxnResponse};

const PLENTY: HistoryLimits = HistoryLimits {
    revisions: 100_000,
    bytes: u64::MAX,
};
const QUOTA: u64 = 1_000_000;

fn put(key: &str, value: &'static str, lease: Option<LeaseId>) -> Op {
    Op::Put {
        key: key.to_owned(),
        value: Bytes::from_static(value.as_bytes()),
        lease,
    }
}

fn then(ops: impl Into<Vec<Op>>) -> Command {
    Command::Txn {
        txn: Txn {
            then: ops.into(),
            ..Txn::default()
        },
        user_quota: QUOTA,
    }
}

fn run(state: &mut State, ops: impl Into<Vec<Op>>) -> TxnResponse {
    match state.apply(&then(ops)) {
        Ok(Outcome::Txn(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn grant(state: &mut State) -> LeaseId {
    match state.apply(&Command::Grant {
        ttl: Duration::from_secs(1),
    }) {
        Ok(Outcome::Granted(lease)) => lease.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_transaction_changes_nothing() {
    let mut state = State::new(PLENTY);
    run(&mut state, [put("a", "1", None)]);
    let revision = state.revision();
    let refused = state.apply(&then([put("b", "2", None), put("c", "3", Some(LeaseId(9)))]));
    assert_eq!(refused, Err(Error::LeaseNotFound));
    assert_eq!(state.revision(), revision);
    assert_eq!(state.range(&Range::default()).items.len(), 1);
}

#[test]
fn a_key_written_twice_is_invalid_in_either_branch() {
    let mut state = State::new(PLENTY);
    let twice = vec![put("a", "1", None), put("a", "2", None)];
    let deleted = vec![put("a/1", "1", None), Op::DeletePrefix { prefix: "a/".to_owned() }];
    for branch in [twice, deleted] {
        let otherwise = Txn {
            otherwise: branch.clone(),
            ..Txn::default()
        };
        for command in [
            then(branch),
            Command::Txn {
                txn: otherwise,
                user_quota: QUOTA,
            },
        ] {
            assert!(matches!(state.apply(&command), Err(Error::Invalid(_))));
        }
    }
    assert_eq!(state.revision(), super::FIRST_REVISION);
}

#[test]
fn a_transaction_that_changes_nothing_has_no_revision() {
    let mut state = State::new(PLENTY);
    let before = state.revision();
    let response = run(&mut state, [Op::Delete { key: "a".to_owned() }, Op::Range(Range::default())]);
    assert_eq!(response.revision, before);
    assert_eq!(response.results[0], OpResult::Deleted(0));
    assert!(state.history().since(before + 1, 10).unwrap().is_empty());
}

#[test]
fn all_changes_of_a_transaction_are_one_revision() {
    let mut state = State::new(PLENTY);
    run(&mut state, [put("a", "1", None)]);
    let response = run(
        &mut state,
        [put("b", "1", None), put("c", "1", None), Op::Delete { key: "a".to_owned() }],
    );
    let items = state.history().since(response.revision, 10).unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].iter().map(Event::key).collect::<Vec<_>>(), ["b", "c", "a"]);
    assert!(items[0].iter().all(|event| event.revision() == response.revision));
}

#[test]
fn keys_vanish_with_their_lease_and_only_they() {
    let mut state = State::new(PLENTY);
    let lease = grant(&mut state);
    run(
        &mut state,
        [put("a", "1", Some(lease)), put("b", "1", Some(lease)), put("c", "1", None)],
    );
    run(&mut state, [put("b", "2", None)]);
    assert_eq!(state.apply(&Command::Revoke { lease }), Ok(Outcome::Revoked));
    let left: Vec<_> = state.range(&Range::default()).items.into_iter().map(|kv| kv.key).collect();
    assert_eq!(left, ["b", "c"]);
    assert_eq!(state.apply(&Command::Revoke { lease }), Err(Error::LeaseNotFound));
}

#[test]
fn a_full_quota_refuses_the_users_keys_and_no_others() {
    let mut state = State::new(PLENTY);
    let user = |key: &str, size: usize, quota| {
        let value = Bytes::from(vec![0; size]);
        let then = vec![Op::Put {
            key: key.to_owned(),
            value,
            lease: None,
        }];
        Command::Txn {
            txn: Txn { then, ..Txn::default() },
            user_quota: quota,
        }
    };
    state.apply(&user("kv/a", 500, 1000)).unwrap();
    assert!(matches!(
        state.apply(&user("kv/b", 500, 1000)),
        Err(Error::QuotaExceeded { quota: 1000, .. })
    ));
    state
        .apply(&user("jobs/b", 500, 1000))
        .expect("the system's keys have no quota");
    state
        .apply(&user("kv/a", 400, 100))
        .expect("what shrinks passes, even over the quota");
    state.apply(&then([Op::Delete { key: "kv/a".to_owned() }])).unwrap();
    state
        .apply(&user("kv/b", 500, 1000))
        .expect("room that was freed can be used");
    assert!(
        matches!(state.apply(&user("kvns/team/c", 500, 1000)), Err(Error::QuotaExceeded { .. })),
        "the quota is of all namespaces together"
    );
}

#[test]
fn a_read_sees_the_writes_before_it_in_its_transaction() {
    let mut state = State::new(PLENTY);
    let response = run(&mut state, [put("a", "1", None), Op::Get { key: "a".to_owned() }]);
    let OpResult::Range(read) = &response.results[1] else {
        panic!("{response:?}")
    };
    assert_eq!(read.items[0].mod_revision, response.revision);
    assert_eq!(read.revision, response.revision);
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a"),
        Just("a/1"),
        Just("a/2"),
        Just("b"),
        Just("kv/a"),
        Just("kv/b"),
        Just("kvns/n/a")
    ]
    .prop_map(str::to_owned)
}

fn prefix() -> impl Strategy<Value = String> {
    prop_oneof![Just(""), Just("a"), Just("a/"), Just("kv/"), Just("kvns/"), Just("x")].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = Range> {
    (prefix(), 0_usize..4, proptest::option::of(key())).prop_map(|(prefix, limit, after)| Range { prefix, limit, after })
}

fn lease() -> impl Strategy<Value = LeaseId> {
    (1_i64..5).prop_map(LeaseId)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (key(), value(), proptest::option::of(lease())).prop_map(|(key, value, lease)| Op::Put { key, value, lease }),
        2 => key().prop_map(|key| Op::Delete { key }),
        1 => prefix().prop_map(|prefix| Op::DeletePrefix { prefix }),
        1 => key().prop_map(|key| Op::Get { key }),
        1 => range().prop_map(Op::Range),
    ]
}

fn compare() -> impl Strategy<Value = Compare> {
    prop_oneof![
        key().prop_map(Compare::Exists),
        key().prop_map(Compare::Absent),
        (key(), 0_u64..20).prop_map(|(key, revision)| Compare::CreateRevision(key, revision)),
        (key(), 0_u64..20).prop_map(|(key, revision)| Compare::ModRevision(key, revision)),
        (key(), value()).prop_map(|(key, value)| Compare::Value(key, value)),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let txn = (vec(compare(), 0..2), vec(op(), 0..4), vec(op(), 0..3)).prop_map(|(compares, then, otherwise)| Txn {
        compares,
        then,
        otherwise,
    });
    prop_oneof![
        8 => (txn, 100_u64..400).prop_map(|(txn, user_quota)| Command::Txn { txn, user_quota }),
        1 => (1_u64..100).prop_map(|seconds| Command::Grant { ttl: Duration::from_secs(seconds) }),
        1 => lease().prop_map(|lease| Command::Revoke { lease }),
    ]
}

fn same_kind(left: &Error, right: &Error) -> bool {
    matches!((left, right), (Error::Invalid(_), Error::Invalid(_))) || left == right
}

proptest! {
    #[test]
    fn behaves_as_the_naive_model(commands in vec(command(), 1..60), listing in range()) {
        let (mut state, mut model) = (State::new(PLENTY), Model::new());
        for command in &commands {
            match (state.apply(command), model.apply(command)) {
                (Ok(reply), Ok(expected)) => prop_assert_eq!(reply, expected),
                (Err(error), Err(expected)) => prop_assert!(same_kind(&error, &expected), "{error:?} {expected:?}"),
                (reply, expected) => prop_assert!(false, "{command:?}: {reply:?}, not {expected:?}"),
            }
            prop_assert_eq!(state.revision(), model.revision);
            prop_assert_eq!(state.bytes(), model.bytes());
        }
        prop_assert_eq!(state.range(&listing), model.range(&listing));
        prop_assert_eq!(state.range(&Range::default()), model.range(&Range::default()));
    }

    #[test]
    fn history_replayed_is_the_state(commands in vec(command(), 1..60)) {
        let mut state = State::new(PLENTY);
        for command in &commands {
            let _ = state.apply(command);
        }
        let mut replayed: BTreeMap<String, KeyValue> = BTreeMap::new();
        let items = state.history().since(super::FIRST_REVISION + 1, usize::MAX).unwrap();
        for (place, events) in items.iter().enumerate() {
            for event in events.iter() {
                prop_assert_eq!(event.revision(), super::FIRST_REVISION + 1 + place as u64, "one item per revision");
                match event {
                    Event::Put(kv) => replayed.insert(kv.key.clone(), kv.clone()),
                    Event::Delete { key, .. } => replayed.remove(key),
                };
            }
        }
        let replayed: Vec<_> = replayed.into_values().collect();
        prop_assert_eq!(replayed, state.range(&Range::default()).items);
    }

    #[test]
    fn a_restored_image_goes_on_as_the_original(before in vec(command(), 1..40), after in vec(command(), 1..20)) {
        let mut original = State::new(PLENTY);
        for command in &before {
            let _ = original.apply(command);
        }
        let bytes: Vec<_> = original.image().parts().map(|part| postcard::to_allocvec(&part).unwrap()).collect();
        let mut restored = State::restore(bytes.iter().map(|part| postcard::from_bytes(part).unwrap()), PLENTY);
        for command in &after {
            prop_assert_eq!(restored.apply(command), original.apply(command));
        }
        prop_assert_eq!(restored.range(&Range::default()), original.range(&Range::default()));
        prop_assert_eq!(restored.bytes(), original.bytes());
        prop_assert!(restored.leases().eq(original.leases()));
    }
}
