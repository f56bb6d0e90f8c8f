use super::*;

/// Requests of a plan that is told that all went well.
fn ops(seed: u64) -> Vec<Op> {
    let mut plan = Plan::new(seed, 1, "h");
    let ops = (1..3000).map(|value| {
        let op = plan.next(value / 1000, value);
        let answer = match &op {
            Op::Read { .. } => Answer::Read {
                value: None,
                revision: 0,
            },
            Op::Write { .. } => Answer::Written { revision: value },
            Op::Delete { .. } => Answer::Deleted { existed: true },
            Op::Cas { .. } | Op::Append { .. } => Answer::Swapped {
                done: true,
                revision: value,
            },
            Op::Txn { then, .. } => Answer::Txn {
                succeeded: true,
                revision: value,
                steps: then.iter().map(|_| StepAnswer::Put).collect(),
            },
        };
        plan.learn(&op, &answer);
        op
    });
    ops.collect()
}

#[test]
fn seed_gives_the_same_requests_and_every_kind_is_among_them() {
    assert_eq!(ops(7), ops(7));
    assert_ne!(ops(7), ops(8));
    let ops = ops(7);
    let has = |wanted: fn(&Op) -> bool| assert!(ops.iter().any(wanted));
    has(Op::is_stale_read);
    has(|op| matches!(op, Op::Write { .. }));
    has(|op| matches!(op, Op::Delete { .. }));
    has(|op| {
        matches!(
            op,
            Op::Cas {
                expected: None,
                revision: 0,
                ..
            }
        )
    });
    has(|op| {
        matches!(
            op,
            Op::Cas {
                expected: Some(_),
                revision: 1..,
                ..
            }
        )
    });
    has(|op| matches!(op, Op::Append { onto, .. } if onto.len() > 3));
    has(|op| matches!(op, Op::Txn { compare, .. } if compare.iter().any(|compare| compare.revision > 0)));
    has(
        |op| matches!(op, Op::Txn { compare, .. } if compare.iter().any(|compare| compare.expected.is_some() && compare.revision == 0)),
    );
    has(Op::deletes);
}

#[test]
fn no_value_is_written_twice_but_within_one_transaction() {
    let mut written = std::collections::HashSet::new();
    for op in ops(3) {
        for held in op.produces() {
            let (key, value) = held;
            assert!(written.insert((key.to_owned(), value)), "{op}");
        }
    }
}

#[test]
fn transactions_write_a_key_at_most_once() {
    for op in ops(5) {
        if let Op::Txn { then, otherwise, .. } = &op {
            for branch in [then, otherwise] {
                let mut keys: Vec<_> = branch
                    .iter()
                    .filter(|step| !matches!(step, Step::Get { .. }))
                    .map(Step::key)
                    .collect();
                let count = keys.len();
                keys.sort_unstable();
                keys.dedup();
                assert_eq!(keys.len(), count, "{op}");
            }
        }
    }
}
