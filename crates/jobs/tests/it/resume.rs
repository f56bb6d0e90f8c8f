//! A new leader goes on with what was durable and with what workers tell it.

use std::collections::BTreeMap;

use api::BootId;
use api::JobId;
use api::task::{Outcome, ResultPart, StageGraph, TaskFailure, TaskId, WorkId};
use jobs::{Heard, JobRecord, Policy, Scheduler, TaskChunk};

use crate::bench::{Bench, FakeWorker, done, graph, place, stage, tasks};

/// What a leader left behind.
struct Left {
    record: JobRecord,
    graph: StageGraph,
    chunks: Vec<TaskChunk>,
}

fn left(bench: &mut Bench, job: JobId) -> Left {
    let record = bench.scheduler.record(job).unwrap().clone();
    let (graph, chunks) = bench.scheduler.tasks(job).unwrap();
    Left {
        record,
        graph: graph.clone(),
        chunks,
    }
}

/// Another leader takes over what is left, and waits for these workers.
fn take_over(bench: &Bench, left: Left, workers: &[&FakeWorker]) -> Bench {
    let mut next = Bench::new();
    next.now = bench.now;
    next.scheduler = Scheduler::new(Policy::default(), next.now);
    next.scheduler.expect_workers(workers.iter().map(|worker| worker.id.clone()));
    let (record, goes_on) = left.record.taken_over(next.now, true);
    assert!(goes_on);
    next.scheduler.resume(next.now, record, Some((left.graph, left.chunks)));
    next
}

#[test]
fn done_tasks_are_not_done_again_and_running_ones_are_adopted() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 3));
    let job = bench.planned(1, &mut a, graph(vec![stage(5, &[]), stage(1, &[0])]));
    let first = tasks(&bench.poll(&mut a));
    bench.done(&mut a, first[0]);
    let left = left(&mut bench, job);

    let mut next = take_over(&bench, left, &[&a]);
    assert!(
        next.poll(&mut a).start.is_empty(),
        "what it says it runs is adopted; reports may be under way"
    );
    next.advance(Policy::default().resume_settle);
    let started = tasks(&next.poll(&mut a));
    assert_eq!(started.iter().map(place).collect::<Vec<_>>(), [(0, 3)], "one slot is free");
    assert_eq!(started[0].attempt, 1 << 10, "numbers of another term");
    next.done(&mut a, first[1]);
    next.done(&mut a, first[2]);
    next.done(&mut a, started[0]);
    let fifth = tasks(&next.poll(&mut a))[0];
    next.done(&mut a, fifth);
    let last = tasks(&next.poll(&mut a))[0];
    assert_eq!(place(&last), (1, 0));
    next.done(&mut a, last);
    let progress = next.ending().unwrap().record.progress;
    assert_eq!((progress.tasks.done, progress.retries), (6, 0));
}

#[test]
fn a_report_that_was_not_durable_counts_when_it_is_repeated() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 2));
    let job = bench.planned(1, &mut a, graph(vec![stage(2, &[]), stage(1, &[0])]));
    let first = tasks(&bench.poll(&mut a));
    let before = left(&mut bench, job);
    bench.done(&mut a, first[0]);
    bench.done(&mut a, first[1]);

    let mut next = take_over(&bench, before, &[&a]);
    let early = next.report(&mut a, WorkId::Task(first[0]), done(first[0]));
    assert_eq!(early, Heard::Later, "before it polls, nobody knows where its outputs are");
    next.poll(&mut a);
    for task in first {
        assert_eq!(next.report(&mut a, WorkId::Task(task), done(task)), Heard::Taken);
        assert_eq!(
            next.report(&mut a, WorkId::Task(task), done(task)),
            Heard::Known,
            "once it is durable"
        );
    }
    next.advance(Policy::default().resume_settle);
    assert_eq!(tasks(&next.poll(&mut a)).iter().map(place).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn a_failed_attempt_counts_once_however_often_it_is_reported() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 1));
    let job = bench.planned(1, &mut a, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut a))[0];
    let before = left(&mut bench, job);
    let mut next = take_over(&bench, before, &[&a]);
    next.poll(&mut a);
    for _ in 0..10 {
        let failure = TaskFailure::Retryable("disk full".to_owned());
        next.report(&mut a, WorkId::Task(only), Outcome::Failed(failure));
    }
    assert!(next.ending().is_none());
}

#[test]
fn a_worker_that_was_restarted_meanwhile_has_lost_its_outputs() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 2));
    let job = bench.planned(1, &mut a, graph(vec![stage(2, &[]), stage(1, &[0])]));
    for task in tasks(&bench.poll(&mut a)) {
        bench.done(&mut a, task);
    }
    let left = left(&mut bench, job);
    a.boot = BootId::new_random();
    a.running.clear();
    let mut next = take_over(&bench, left, &[&a]);
    next.poll(&mut a);
    next.advance(Policy::default().resume_settle);
    assert_eq!(
        tasks(&next.poll(&mut a)).iter().map(place).collect::<Vec<_>>(),
        [(0, 0), (0, 1)]
    );
}

#[test]
fn a_worker_that_does_not_come_back_is_waited_for_and_then_its_outputs_are_made_again() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 2), FakeWorker::new("b", 2));
    let job = bench.planned(1, &mut a, graph(vec![stage(2, &[]), stage(1, &[0])]));
    for task in tasks(&bench.poll(&mut a)) {
        bench.done(&mut a, task);
    }
    let left = left(&mut bench, job);
    let mut next = take_over(&bench, left, &[&a, &b]);
    next.poll(&mut b);
    next.advance(Policy::default().resume_grace);
    let reader = tasks(&next.poll(&mut b));
    assert_eq!(reader.iter().map(place).collect::<Vec<_>>(), [(1, 0)], "a may be back soon");
    for _ in 0..10 {
        next.advance(1_000);
        next.scheduler.touch(next.now, &b.id, b.boot);
    }
    assert_eq!(
        tasks(&next.poll(&mut b)).iter().map(place).collect::<Vec<_>>(),
        [(0, 0)],
        "one slot is free"
    );
}

#[test]
fn a_job_whose_last_task_was_durable_needs_only_its_end() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 1));
    let job = bench.planned(1, &mut a, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut a))[0];
    let mut before = left(&mut bench, job);
    bench.done(&mut a, only);
    before.chunks = bench.ending().unwrap().chunks;
    let mut next = take_over(&bench, before, &[&a]);
    next.advance(0);
    let parts = next.ending().expect("its end was all that was missing").parts;
    assert_eq!(parts, [ResultPart::Inline("0/0/0".into())]);
    assert!(next.poll(&mut a).start.is_empty());
}

#[test]
fn readers_of_an_incomplete_stage_of_chance_are_not_adopted() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 2), FakeWorker::new("b", 2));
    let mut chance = stage(2, &[]);
    chance.deterministic = false;
    let job = bench.planned(1, &mut a, graph(vec![chance, stage(1, &[0])]));
    let produced = tasks(&bench.poll(&mut a));
    bench.done(&mut a, produced[0]);
    let before = left(&mut bench, job);
    bench.done(&mut a, produced[1]);
    let reader = tasks(&bench.poll(&mut b))[0];

    // The end of the second task never became durable, and `a` is gone with it.
    let mut next = take_over(&bench, before, &[&a, &b]);
    let response = next.poll(&mut b);
    assert_eq!(response.cancel, [WorkId::Task(reader)], "it has read what will be made anew");
    next.done(&mut b, reader);
    assert!(next.ending().is_none());
}

#[test]
fn a_plan_that_was_not_durable_is_made_anew_and_nothing_of_it_counts() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 1));
    let job = bench.submit(1);
    let plan = bench.poll(&mut a).start[0].work();
    let record = bench.scheduler.record(job).unwrap().clone().taken_over(0, false).0;
    let mut next = Bench::new();
    next.scheduler.expect_workers([a.id.clone()]);
    next.scheduler.resume(next.now, record, None);
    assert!(next.poll(&mut a).start.is_empty());
    next.report(&mut a, plan, Outcome::Planned(graph(vec![stage(7, &[])])));
    next.advance(Policy::default().resume_settle);
    let again = next.poll(&mut a).start[0].work();
    assert_ne!(again, plan);
    next.report(&mut a, again, Outcome::Planned(graph(vec![stage(1, &[])])));
    assert_eq!(tasks(&next.poll(&mut a)).len(), 1);
}

#[test]
fn what_is_saved_is_what_changed() {
    let (mut bench, mut a) = (Bench::new(), FakeWorker::new("a", 300));
    let job = bench.planned(1, &mut a, graph(vec![stage(600, &[])]));
    let first = tasks(&bench.poll(&mut a));
    assert_eq!(first.len(), 300);
    // The disk is slow from here on.
    let report = |bench: &mut Bench, task: TaskId| bench.scheduler.report(bench.now, a.report(WorkId::Task(task), done(task)));
    report(&mut bench, first[0]);
    let save = bench.scheduler.save(job).unwrap();
    let chunks: Vec<_> = save.chunks.iter().map(|chunk| (chunk.stage, chunk.index)).collect();
    assert_eq!(chunks, [(0, 0)]);
    assert!(save.graph.is_none(), "it is durable");
    report(&mut bench, first[299]);
    bench.scheduler.saved(bench.now, job, save.version);
    let next = bench.scheduler.save(job).unwrap();
    let chunks: BTreeMap<_, _> = next.chunks.iter().map(|chunk| (chunk.index, chunk.tasks.len())).collect();
    assert_eq!(chunks, BTreeMap::from([(1, 44)]));
}
