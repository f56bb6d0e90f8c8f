//! Ours and the other checker, on the same histories.

use fastrand::Rng;
use histories::History;
use histories::linearizability::{Limits, check};
use proptest::prelude::*;

use crate::other;
use crate::simulated::{Shape, history, mutated};

fn ours(history: &History) -> bool {
    let report = check(&history.operations().expect("the history makes sense"), Limits::default());
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);
    report.violations.is_empty()
}

fn shape() -> impl Strategy<Value = Shape> {
    let sizes = (2..6_u32, 4..28_usize, 1..4_usize);
    (sizes, any::<bool>(), 0..25_u8, any::<bool>()).prop_map(|((clients, operations, keys), unique, lost, transactions)| Shape {
        clients,
        operations,
        keys,
        unique,
        lost,
        transactions,
    })
}

fn shown(history: &History) -> String {
    let operations = history.operations().expect("the history makes sense");
    let lines = operations.iter().map(|operation| {
        format!(
            "p{} {}..{:?} {operation}",
            operation.process, operation.called, operation.returned
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn history_of_a_linearizable_store_is_accepted(shape in shape(), seed: u64) {
        let history = history(shape, seed);
        prop_assert!(ours(&history), "{}", shown(&history));
        prop_assert!(other::is_linearizable(&history), "{}", shown(&history));
    }

    #[test]
    fn changed_history_is_judged_equally_by_both(shape in shape(), seed: u64) {
        let history = mutated(history(shape, seed), &mut Rng::with_seed(seed ^ 1));
        prop_assert_eq!(ours(&history), other::is_linearizable(&history), "{}", shown(&history));
    }

    /// In sizes that the other checker does not take on: some 700 operations on a key, or 300 on keys of transactions.
    #[test]
    fn long_history_is_accepted_in_no_time(seed: u64) {
        for (operations, lost, transactions) in [(2000, 3, false), (2000, 0, true), (300, 2, true)] {
            let shape = Shape { clients: 12, operations, keys: 3, unique: true, lost, transactions };
            let begun = std::time::Instant::now();
            prop_assert!(ours(&history(shape, seed)));
            prop_assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
        }
    }
}

/// A comparison in which one side always says the same would prove nothing.
#[test]
fn changes_make_good_and_bad_histories_of_every_kind() {
    for (unique, transactions, lost) in [(true, false, 0), (true, true, 10), (false, true, 10), (false, false, 20)] {
        let shape = Shape {
            clients: 4,
            operations: 16,
            keys: 2,
            unique,
            lost,
            transactions,
        };
        let bad = (0..200)
            .filter(|seed| !ours(&mutated(history(shape, *seed), &mut Rng::with_seed(*seed))))
            .count();
        assert!((20..180).contains(&bad), "{bad} of 200 are bad: {shape:?}");
    }
}
