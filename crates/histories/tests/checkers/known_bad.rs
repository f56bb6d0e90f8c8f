//! What no correct store may show, each as small as it gets, and its nearest neighbour that is allowed.

use histories::history::{Answer, Compare, Op, Step, StepAnswer, Value};

use crate::script::{REFUSED, SWAPPED, Script, WRITTEN, append, cas, list, read};

fn x(value: u64) -> Op {
    Op::write("x", value)
}

fn get() -> Op {
    Op::read("x")
}

#[test]
fn stale_read() {
    let bad = Script::default();
    bad.step(1, x(1), WRITTEN).step(1, x(2), WRITTEN).step(2, get(), read(1));
    let said = bad.contradiction();
    assert!(said.contains("these 3 of 3 operations on x"), "{said}");
    assert!(said.contains("then x = 2") && said.contains("none fits: #3"), "{said}");

    // While the second write is under way, the first value is right.
    let good = Script::default();
    good.step(1, x(1), WRITTEN)
        .call(1, x(2))
        .step(2, get(), read(1))
        .told(1, WRITTEN);
    assert!(good.judged().is_proven());
}

#[test]
fn read_that_goes_back_during_a_write() {
    let bad = Script::default();
    bad.call(1, x(1))
        .step(2, get(), read(1))
        .step(3, get(), read(None))
        .told(1, WRITTEN);
    assert!(bad.contradiction().contains("none fits: #3"));
}

#[test]
fn lost_update() {
    let bad = Script::default();
    bad.step(1, x(1), WRITTEN);
    bad.call(1, cas(1, 2)).call(2, cas(1, 3)).told(1, SWAPPED).told(2, SWAPPED);
    bad.contradiction();

    let good = Script::default();
    good.step(1, x(1), WRITTEN);
    good.call(1, cas(1, 2)).call(2, cas(1, 3)).told(1, SWAPPED).told(2, REFUSED);
    assert!(good.judged().is_proven());
}

#[test]
fn two_sides_of_a_split_both_create() {
    let bad = Script::default();
    bad.call(1, cas(None, 1))
        .call(2, cas(None, 2))
        .told(1, SWAPPED)
        .told(2, SWAPPED);
    bad.step(1, get(), read(1)).step(2, get(), read(2));
    let said = bad.contradiction();
    assert!(said.contains("these 2 of 4"), "the reads are not needed: {said}");
}

#[test]
fn acknowledged_write_lost_at_a_change_of_leader() {
    let bad = Script::default();
    bad.step(1, x(1), WRITTEN)
        .step(2, x(2), WRITTEN)
        .call(3, x(3))
        .silent(3)
        .step(4, get(), read(1));
    bad.contradiction();
}

#[test]
fn read_of_a_write_that_was_refused() {
    let bad = Script::default();
    bad.call(1, x(1)).refused(1).step(2, get(), read(1));
    bad.contradiction();
    assert!(bad.judged().provenance[0].contains("not executed (503)"));

    let good = Script::default();
    good.call(1, x(1)).silent(1).step(2, get(), read(1));
    assert!(good.judged().is_proven());
}

#[test]
fn write_of_unknown_outcome_happens_at_most_once() {
    // Seen, overwritten, and seen again: it was sent twice.
    let bad = Script::default();
    bad.call(1, x(1))
        .silent(1)
        .step(2, get(), read(1))
        .step(3, x(2), WRITTEN)
        .step(2, get(), read(1));
    bad.contradiction();

    // Late is allowed.
    let good = Script::default();
    good.call(1, x(1))
        .silent(1)
        .step(3, x(2), WRITTEN)
        .step(2, get(), read(2))
        .step(2, get(), read(1));
    assert!(good.judged().is_proven());
}

#[test]
fn refused_swap_that_was_executed() {
    // What a blind second attempt does: the first one swapped, the second one says 412.
    let bad = Script::default();
    bad.step(1, x(1), WRITTEN).step(1, cas(1, 2), REFUSED).step(2, get(), read(2));
    bad.contradiction();
}

#[test]
fn list_that_loses_an_element() {
    let bad = Script::default();
    bad.step(1, append(&[], 1), SWAPPED).step(1, append(&[1], 2), SWAPPED);
    bad.step(2, Op::read("x"), list(&[1, 2])).step(2, Op::read("x"), list(&[1]));
    bad.contradiction();
}

#[test]
fn list_that_grows_in_two_directions() {
    let bad = Script::default();
    bad.step(1, append(&[], 1), SWAPPED);
    bad.call(1, append(&[1], 2)).call(2, append(&[1], 3));
    bad.step(3, Op::read("x"), list(&[1, 2]))
        .step(4, Op::read("x"), list(&[1, 3]));
    bad.silent(1).silent(2);
    bad.contradiction();
}

#[test]
fn transaction_seen_in_part() {
    let put = |key: &str, value: u64| Step::Put {
        key: key.to_owned(),
        value: Value::Int(value),
    };
    let both = |value| Op::Txn {
        compare: Vec::new(),
        then: vec![put("x", value), put("y", value + 1)],
        otherwise: Vec::new(),
    };
    let done = Answer::Txn {
        succeeded: true,
        revision: 0,
        steps: vec![StepAnswer::Put; 2],
    };
    let bad = Script::default();
    bad.step(1, both(1), done.clone()).call(1, both(3));
    bad.step(2, Op::read("x"), read(3))
        .step(2, Op::read("y"), read(2))
        .told(1, done);
    bad.contradiction();
}

#[test]
fn write_skew_between_transactions() {
    // Each found the other key absent and wrote its own: no order allows both.
    let only = |mine: &str, other: &str| Op::Txn {
        compare: vec![Compare {
            key: other.to_owned(),
            expected: None,
            revision: 0,
        }],
        then: vec![Step::Put {
            key: mine.to_owned(),
            value: Value::Int(1),
        }],
        otherwise: Vec::new(),
    };
    let done = Answer::Txn {
        succeeded: true,
        revision: 0,
        steps: vec![StepAnswer::Put],
    };
    let bad = Script::default();
    bad.call(1, only("x", "y"))
        .call(2, only("y", "x"))
        .told(1, done.clone())
        .told(2, done);
    bad.contradiction();
}

#[test]
fn counterexample_is_the_contradiction_and_nothing_else() {
    // A long healthy history, in which one read is old.
    let bad = Script::default();
    for value in 1..200 {
        bad.step(1, x(value), WRITTEN).step(2, get(), read(value));
    }
    bad.step(3, get(), read(150));
    for value in 200..300 {
        bad.step(1, x(value), WRITTEN).step(2, get(), read(value));
    }
    let said = bad.contradiction();
    assert!(said.contains("these 3 of 599"), "{said}");
}

#[test]
fn revision_that_goes_back_in_time_is_found_without_any_search() {
    let written = |revision| Answer::Written { revision };
    let bad = Script::default();
    bad.step(1, x(1), written(7)).step(2, Op::write("y", 2), written(6));
    let judgement = bad.judged();
    assert!(judgement.report.violations.is_empty(), "each key alone is fine");
    assert!(
        judgement.is_violation() && judgement.revisions[0].contains("after revision 7 was known"),
        "{judgement}"
    );

    let shared = Script::default();
    shared
        .call(1, x(1))
        .call(2, Op::write("y", 2))
        .told(1, written(7))
        .told(2, written(7));
    assert!(shared.judged().revisions[0].contains("claimed twice"));
}

#[test]
fn search_out_of_bounds_says_unknown() {
    // Writes of the same value tell nothing apart: every subset is a situation of its own.
    let wide = Script::default();
    for process in 1..=40 {
        wide.call(process, Op::write("x", u64::from(process % 2)));
    }
    wide.call(41, get());
    for process in 1..=40 {
        wide.told(process, WRITTEN);
    }
    wide.told(41, read(7)).step(42, Op::write("x", 7), WRITTEN);
    let limits = histories::linearizability::Limits {
        situations: 10_000,
        ..Default::default()
    };
    let judgement = histories::judge(&wide.history(), limits).unwrap();
    assert_eq!(
        judgement.report.unknown.len() + judgement.report.violations.len(),
        1,
        "{judgement}"
    );
    assert!(!judgement.is_proven());
}
