//! Slow tasks run twice; the first end counts.

use api::task::{Outcome, TaskId, WorkId};
use jobs::{AttemptEnd, Command, TaskResult};

use crate::bench::{Bench, FakeWorker, done, graph, stage, tasks};

/// `a` is slow with the last of four tasks, and `b` is idle.
fn with_straggler() -> (Bench, FakeWorker, FakeWorker, TaskId) {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 4), FakeWorker::new("b", 0));
    bench.planned(1, &mut a, graph(vec![stage(4, &[]), stage(1, &[0])]));
    a.slots = 4;
    bench.poll(&mut b);
    let mut all = Vec::new();
    while all.len() < 4 {
        all.extend(tasks(&bench.poll(&mut a)));
    }
    bench.advance(1_000);
    for task in &all[..3] {
        bench.done(&mut a, *task);
    }
    b.slots = 1;
    assert!(bench.poll(&mut b).start.is_empty(), "it is not slow yet");
    for _ in 0..11 {
        bench.advance(100);
        bench.scheduler.touch(bench.now, &a.id, a.boot);
    }
    (bench, a, b, all[3])
}

#[test]
fn a_task_much_slower_than_its_stage_gets_a_twin_elsewhere() {
    let (mut bench, mut a, mut b, slow) = with_straggler();
    assert!(bench.poll(&mut a).start.is_empty(), "not on the same worker");
    let twin = tasks(&bench.poll(&mut b))[0];
    assert_eq!((twin.partition, twin.attempt), (slow.partition, 1));
    assert!(bench.commands.contains(&Command::TwinStarted));
    bench.advance(3_000);
    b.slots = 2;
    assert!(bench.poll(&mut b).start.is_empty(), "one twin is enough");
}

#[test]
fn the_twin_wins_and_the_first_is_cancelled_and_its_late_report_refused() {
    let (mut bench, mut a, mut b, slow) = with_straggler();
    let twin = tasks(&bench.poll(&mut b))[0];
    bench.done(&mut b, twin);
    let (_, inputs) = crate::bench::task(&bench.poll(&mut b).start[0]);
    let offer = bench.scheduler.offer(bench.now, &a.id).expect("the loser is told at once");
    assert_eq!(offer.cancel, [WorkId::Task(slow)]);
    bench.done(&mut a, slow);
    assert_eq!(bench.count(TaskResult::Refused), 1);
    assert_eq!(inputs[0].producers[slow.partition as usize].attempt, twin.attempt);
    let chunks = bench.scheduler.tasks(slow.job).unwrap().1;
    let ends: Vec<_> = chunks[0].tasks[slow.partition as usize]
        .attempts
        .iter()
        .map(|a| a.end)
        .collect();
    assert_eq!(ends, [AttemptEnd::Cancelled, AttemptEnd::Done]);
}

#[test]
fn the_first_may_win_too_and_a_failed_twin_costs_nothing_but_an_attempt() {
    let (mut bench, mut a, mut b, slow) = with_straggler();
    let twin = tasks(&bench.poll(&mut b))[0];
    let failure = api::task::TaskFailure::Retryable("disk full".to_owned());
    bench.report(&mut b, WorkId::Task(twin), Outcome::Failed(failure));
    bench.advance(200);
    assert!(bench.poll(&mut b).start.is_empty(), "the first runs still");
    bench.report(&mut a, WorkId::Task(slow), done(slow));
    assert_eq!(tasks(&bench.poll(&mut a))[0].stage, 1);
}
