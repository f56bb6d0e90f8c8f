//! Who gets the next slot.

use api::JobId;
use jobs::Policy;

use crate::bench::{Bench, FakeWorker, graph, spec, stage};

fn order(bench: &mut Bench, w: &mut FakeWorker) -> Vec<JobId> {
    bench.poll(w).start.iter().map(|a| a.work().job()).collect()
}

#[test]
fn higher_priority_goes_first() {
    let mut bench = Bench::new();
    let low = bench.submit(1);
    let mut urgent = spec();
    urgent.priority = 5;
    let high = bench.submit_spec(2, urgent);
    assert_eq!(order(&mut bench, &mut FakeWorker::new("w", 2)), [high, low]);
}

#[test]
fn equal_priorities_begin_in_submission_order() {
    let mut bench = Bench::new();
    let (second, first) = (bench.submit(2), bench.submit(1));
    assert_eq!(order(&mut bench, &mut FakeWorker::new("w", 2)), [first, second]);
}

#[test]
fn equal_priorities_take_turns() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let a = bench.planned(1, &mut w, graph(vec![stage(8, &[])]));
    let b = bench.planned(2, &mut w, graph(vec![stage(8, &[])]));
    w.slots = 6;
    assert_eq!(order(&mut bench, &mut w), [a, b, a, b, a, b]);
}

#[test]
fn no_more_than_the_free_slots_are_given() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 3));
    bench.planned(1, &mut w, graph(vec![stage(8, &[])]));
    assert_eq!(bench.poll(&mut w).start.len(), 3);
    assert!(bench.poll(&mut w).start.is_empty());
    w.running.pop();
    assert!(
        bench.poll(&mut w).start.is_empty(),
        "what is not listed may be on its way to the worker"
    );
}

#[test]
fn jobs_beyond_the_active_ones_wait_unless_they_matter_more() {
    let (mut bench, mut w) = (
        Bench::with(Policy {
            max_active: 1,
            ..Policy::default()
        }),
        FakeWorker::new("w", 8),
    );
    let first = bench.submit(1);
    bench.submit(2);
    assert_eq!(order(&mut bench, &mut w), [first]);
    let mut urgent = spec();
    urgent.priority = 1;
    let high = bench.submit_spec(3, urgent);
    assert_eq!(order(&mut bench, &mut w), [high]);
}

#[test]
fn work_is_shared_between_idle_workers() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 4), FakeWorker::new("b", 4));
    bench.poll(&mut b);
    bench.planned(1, &mut a, graph(vec![stage(4, &[])]));
    assert_eq!(bench.poll(&mut a).start.len(), 2);
    assert_eq!(bench.poll(&mut b).start.len(), 2);
}

#[test]
fn the_namespace_with_the_fewest_slots_in_use_is_next() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let small = bench.planned_in("small", 3, &mut w, graph(vec![stage(8, &[])]));
    let big = bench.planned(1, &mut w, graph(vec![stage(8, &[])]));
    let other = bench.planned(2, &mut w, graph(vec![stage(8, &[])]));
    w.slots = 4;
    let order = order(&mut bench, &mut w);
    assert_eq!(
        order.iter().filter(|job| **job == small).count(),
        2,
        "half of the slots: {order:?}"
    );
    assert!(order.contains(&big) && order.contains(&other), "{order:?}");
}

#[test]
fn a_namespace_that_has_nothing_running_is_not_kept_waiting_by_another() {
    let (mut bench, mut w) = (
        Bench::with(Policy {
            max_active: 1,
            ..Policy::default()
        }),
        FakeWorker::new("w", 1),
    );
    bench.planned(1, &mut w, graph(vec![stage(8, &[])]));
    bench.submit(2);
    let small = bench.submit_in("small", 3, spec());
    w.slots = 2;
    assert!(order(&mut bench, &mut w).contains(&small));
    assert_eq!(bench.scheduler.load("").queued, 1);
}

#[test]
fn a_namespace_runs_no_more_jobs_than_it_may() {
    let (mut bench, mut w) = (
        Bench::with(Policy {
            max_active_per_namespace: 2,
            ..Policy::default()
        }),
        FakeWorker::new("w", 8),
    );
    for n in 1..=4 {
        bench.submit(n);
    }
    assert_eq!(order(&mut bench, &mut w).len(), 2);
}
