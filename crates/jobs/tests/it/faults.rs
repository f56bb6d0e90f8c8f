//! Failed tasks, missing inputs, lost workers and lost messages.

use api::BootId;
use api::job::{Cost, JobState};
use api::task::{Outcome, TaskFailure, TaskId, WorkId};
use jobs::{Command, Heard, Policy, TaskResult};

use crate::bench::{Bench, FakeWorker, done, graph, place, stage, task, tasks};

fn retryable() -> TaskFailure {
    TaskFailure::Retryable("disk full".to_owned())
}

fn missing(task: &TaskId) -> TaskFailure {
    TaskFailure::Fetch {
        stage: task.stage,
        partition: task.partition,
        attempt: task.attempt,
        detail: "404".to_owned(),
    }
}

/// Two workers with one slot each; `a` has run both tasks of stage 0 and `b` runs the reader.
fn with_running_reader(deterministic: bool) -> (Bench, FakeWorker, FakeWorker, [TaskId; 2], TaskId) {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 2), FakeWorker::new("b", 1));
    let mut first = stage(2, &[]);
    first.deterministic = deterministic;
    bench.planned(1, &mut a, graph(vec![first, stage(1, &[0])]));
    let produced = tasks(&bench.poll(&mut a));
    for one in &produced {
        bench.done(&mut a, *one);
    }
    let reader = tasks(&bench.poll(&mut b))[0];
    (bench, a, b, [produced[0], produced[1]], reader)
}

#[test]
fn a_failed_task_is_tried_again_after_a_pause_and_elsewhere_first() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 1), FakeWorker::new("b", 1));
    bench.planned(1, &mut a, graph(vec![stage(1, &[])]));
    let first = tasks(&bench.poll(&mut a))[0];
    bench.poll(&mut b);
    bench.fail(&mut a, first, retryable());
    assert!(bench.poll(&mut b).start.is_empty(), "backoff");
    bench.advance(100);
    assert!(bench.poll(&mut a).start.is_empty(), "elsewhere first");
    let second = tasks(&bench.poll(&mut b))[0];
    assert_eq!((place(&second), second.attempt), ((0, 0), 1));
}

fn task_of(worker: &FakeWorker) -> TaskId {
    match worker.running[0] {
        WorkId::Task(task) => task,
        WorkId::Plan(..) => panic!("it plans"),
    }
}

#[test]
fn elsewhere_is_not_waited_for_forever() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 1), FakeWorker::new("b", 0));
    bench.planned(1, &mut a, graph(vec![stage(1, &[])]));
    bench.poll(&mut b);
    let only = tasks(&bench.poll(&mut a))[0];
    bench.fail(&mut a, only, retryable());
    bench.advance(100 + Policy::default().elsewhere_wait);
    assert_eq!(bench.poll(&mut a).start.len(), 1);
}

#[test]
fn attempts_are_bounded_and_the_failure_says_where_and_why() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    for attempt in 0..4 {
        bench.advance(5_000);
        let only = tasks(&bench.poll(&mut w))[0];
        assert_eq!(only.attempt, attempt);
        bench.fail(&mut w, only, retryable());
    }
    assert_eq!(
        bench.failure(),
        "task 0 of stage 0 failed 4 times, the last time on w: disk full"
    );
}

#[test]
fn attempts_of_a_later_leader_differ_from_those_of_an_earlier_one_for_ever() {
    let mut bench = Bench::new();
    let job = bench.submit(1);
    let mut record = bench.scheduler.record(job).unwrap().clone();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        record = record.taken_over(0, true).0;
        let (mut next, mut w) = (Bench::new(), FakeWorker::new("w", 1));
        next.scheduler.submit(next.now, record.clone());
        assert!(seen.insert(next.poll(&mut w).start[0].work()));
    }
    assert_eq!(record.run, 3, "64 leaders a run");
}

#[test]
fn late_and_repeated_reports_are_refused_by_attempt() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[]), stage(1, &[0])]));
    let first = tasks(&bench.poll(&mut w))[0];
    bench.fail(&mut w, first, retryable());
    bench.advance(100);
    let second = tasks(&bench.poll(&mut w))[0];
    bench.commands.clear();
    bench.done(&mut w, first);
    assert_eq!(bench.commands, [Command::TaskEnded(TaskResult::Refused)]);
    bench.done(&mut w, second);
    bench.commands.clear();
    let again = bench.report(&mut w, WorkId::Task(second), done(second));
    assert_eq!(bench.commands, [Command::TaskEnded(TaskResult::Refused)]);
    assert_eq!(again, Heard::Known, "and durable");
    let (_, inputs) = task(&bench.poll(&mut w).start[0]);
    assert_eq!(inputs[0].producers[0].attempt, second.attempt);
}

#[test]
fn reports_from_another_life_of_the_worker_are_refused() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut w))[0];
    let mut impostor = w.clone();
    impostor.boot = BootId::new_random();
    bench.done(&mut impostor, only);
    assert!(bench.ending().is_none());
    bench.done(&mut w, only);
    assert!(bench.ending().is_some());
}

#[test]
fn a_missing_input_runs_its_producer_again_elsewhere_and_then_the_reader() {
    let (mut bench, mut a, mut b, produced, reader) = with_running_reader(true);
    bench.fail(&mut b, reader, missing(&produced[0]));
    bench.advance(200);
    assert!(bench.poll(&mut a).start.is_empty(), "elsewhere first");
    let again = tasks(&bench.poll(&mut b));
    assert_eq!(again.iter().map(place).collect::<Vec<_>>(), [(0, 0)], "only the missing one");
    bench.done(&mut b, again[0]);

    let (reader, inputs) = task(&bench.poll(&mut b).start[0]);
    let producers: Vec<_> = inputs[0].producers.iter().map(|p| (p.address.as_str(), p.attempt)).collect();
    assert_eq!(producers, [("b:1", 1), ("a:1", 0)]);
    bench.done(&mut b, reader);
    assert_eq!(bench.ending().unwrap().record.progress.retries, 2);
}

#[test]
fn a_missing_input_that_was_made_again_meanwhile_costs_only_the_reader_a_round() {
    let (mut bench, _, mut b, produced, reader) = with_running_reader(true);
    bench.fail(&mut b, reader, missing(&produced[0]));
    bench.advance(200);
    let again = tasks(&bench.poll(&mut b))[0];
    bench.done(&mut b, again);
    let reader = tasks(&bench.poll(&mut b))[0];
    bench.fail(&mut b, reader, missing(&produced[0]));
    bench.advance(4_000);
    let next = tasks(&bench.poll(&mut b));
    assert_eq!(next.iter().map(place).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn missing_inputs_do_not_use_up_the_attempts_of_the_reader() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[]), stage(1, &[0])]));
    for _ in 0..10 {
        let scan = tasks(&bench.poll(&mut w))[0];
        bench.done(&mut w, scan);
        bench.advance(9_000);
        let reader = tasks(&bench.poll(&mut w))[0];
        bench.fail(&mut w, reader, missing(&scan));
    }
    assert!(bench.ending().is_none());
}

#[test]
fn inputs_that_stay_missing_fail_the_job_in_the_end() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[]), stage(1, &[0])]));
    let mut last = None;
    for _ in 0..200 {
        bench.advance(9_000);
        let Some(next) = tasks(&bench.poll(&mut w)).first().copied() else {
            break;
        };
        match (next.stage, last) {
            (0, _) => {
                bench.done(&mut w, next);
                last = Some(next);
            }
            (_, Some(producer)) => bench.fail(&mut w, next, missing(&producer)),
            (_, None) => panic!("the reader came first"),
        }
    }
    assert!(
        bench
            .failure()
            .starts_with("task 0 of stage 1 found its inputs missing 33 times, the last time on w")
    );
}

#[test]
fn a_claim_about_an_input_it_does_not_read_costs_the_reader() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    for _ in 0..4 {
        bench.advance(5_000);
        let only = tasks(&bench.poll(&mut w))[0];
        bench.fail(
            &mut w,
            only,
            TaskFailure::Fetch {
                stage: 7,
                partition: 9,
                attempt: 0,
                detail: "?".to_owned(),
            },
        );
    }
    assert!(bench.failure().contains("failed 4 times"));
}

#[test]
fn a_silent_worker_is_lost_and_what_is_still_read_of_its_output_runs_again() {
    let (mut bench, a, mut b, _, reader) = with_running_reader(true);
    for _ in 0..10 {
        bench.advance(1_000);
        bench.scheduler.touch(bench.now, &b.id, b.boot);
    }
    assert_eq!(bench.scheduler.live_workers(), 1);
    b.slots = 3;
    let again = tasks(&bench.poll(&mut b));
    assert_eq!(
        again.iter().map(place).collect::<Vec<_>>(),
        [(0, 0), (0, 1)],
        "the reader may be half way through them"
    );
    bench.done(&mut b, reader);
    assert_eq!(
        bench.ending().unwrap().record.state,
        JobState::Succeeded,
        "a reader that had them all counts"
    );
    drop(a);
}

#[test]
fn output_that_nobody_reads_any_more_is_not_made_again() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 1), FakeWorker::new("b", 1));
    bench.planned(1, &mut a, graph(vec![stage(1, &[]), stage(1, &[0]), stage(2, &[1])]));
    let scan = tasks(&bench.poll(&mut a))[0];
    bench.done(&mut a, scan);
    let middle = tasks(&bench.poll(&mut b))[0];
    bench.done(&mut b, middle);
    a.boot = BootId::new_random();
    let next = tasks(&bench.poll(&mut a));
    assert_eq!(
        next.iter().map(place).collect::<Vec<_>>(),
        [(2, 0)],
        "stage 1 has read stage 0"
    );

    b.boot = BootId::new_random();
    let again = tasks(&bench.poll(&mut b));
    assert_eq!(
        again.iter().map(place).collect::<Vec<_>>(),
        [(0, 0)],
        "stage 1 is lost and read, so stage 0 is read again"
    );
}

#[test]
fn a_stage_that_is_not_deterministic_runs_again_whole_with_its_readers() {
    let (mut bench, mut a, mut b, produced, reader) = with_running_reader(false);
    bench.fail(&mut b, reader, missing(&produced[1]));
    bench.advance(4_000);
    bench.poll(&mut b);
    let again: Vec<_> = tasks(&bench.poll(&mut a)).iter().chain([&task_of(&b)]).map(place).collect();
    assert_eq!(again.len(), 2);
    assert!(again.contains(&(0, 0)) && again.contains(&(0, 1)));
}

#[test]
fn readers_of_a_restarted_stage_are_stopped_and_their_reports_refused() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 2), FakeWorker::new("b", 2));
    let mut first = stage(1, &[]);
    first.deterministic = false;
    bench.planned(1, &mut a, graph(vec![first, stage(2, &[0])]));
    let scan = tasks(&bench.poll(&mut a))[0];
    bench.done(&mut a, scan);
    let readers: Vec<_> = (0..2).flat_map(|_| tasks(&bench.poll(&mut b))).collect();
    bench.done(&mut b, readers[0]);
    a.boot = BootId::new_random();
    a.slots = 0;
    bench.poll(&mut a);
    bench.report(&mut b.clone(), WorkId::Task(readers[1]), done(readers[1]));
    assert!(bench.ending().is_none(), "its rows come from the old run of stage 0");
    bench.scheduler.tick(bench.now);
    let response = bench.poll(&mut b);
    assert_eq!(tasks(&response).iter().map(place).collect::<Vec<_>>(), [(0, 0)]);
}

#[test]
fn a_worker_that_kills_itself_with_a_task_costs_the_task_an_attempt() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    for _ in 0..4 {
        bench.advance(5_000);
        assert_eq!(bench.poll(&mut w).start.len(), 1);
        w.boot = BootId::new_random();
        w.running.clear();
        bench.poll(&mut w);
    }
    assert_eq!(
        bench.failure(),
        "task 0 of stage 0 failed 4 times, the last time on w: the worker was lost: it was restarted"
    );
}

#[test]
fn a_busy_worker_that_polls_is_never_lost() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut w))[0];
    for _ in 0..100 {
        bench.advance(9_000);
        assert!(bench.poll(&mut w).start.is_empty());
    }
    bench.done(&mut w, only);
    assert_eq!(bench.ending().unwrap().record.progress.retries, 0);
}

#[test]
fn an_order_that_never_arrived_is_given_again_without_cost() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    for expected in 0..10 {
        let lost = tasks(&bench.poll_only(&w));
        assert_eq!(lost[0].attempt, expected);
        bench.poll_only(&w);
        bench.advance(Policy::default().missing_grace);
    }
    let lost = bench.poll_only(&w).start[0].work();
    bench.scheduler.undelivered(bench.now, &w.id, &[lost]);
    assert_eq!(
        tasks(&bench.poll(&mut w))[0].attempt,
        11,
        "a connection known to be broken is not waited for"
    );
}

#[test]
fn a_report_of_the_last_stage_without_a_result_is_a_failure() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut w))[0];
    let Outcome::Done(mut output) = done(only) else {
        unreachable!()
    };
    output.result = None;
    bench.report(&mut w, WorkId::Task(only), Outcome::Done(output));
    assert!(bench.ending().is_none());
    bench.advance(100);
    assert_eq!(bench.poll(&mut w).start.len(), 1);
}

#[test]
fn what_failed_attempts_have_cost_is_counted_once() {
    let (mut bench, mut a, mut b) = (Bench::new(), FakeWorker::new("a", 1), FakeWorker::new("b", 1));
    let job = bench.planned(1, &mut a, graph(vec![stage(1, &[])]));
    let first = tasks(&bench.poll(&mut a))[0];
    let wasted = Cost {
        cpu_ms: 700,
        peak_memory: 9,
        ..Cost::default()
    };
    bench.fail_after(&mut a, first, retryable(), wasted);
    assert_eq!(bench.scheduler.record(job).unwrap().cost, wasted);
    bench.advance(100);
    let second = tasks(&bench.poll(&mut b))[0];
    bench.done(&mut b, second);
    assert_eq!(bench.ending().expect("it is done").record.cost, wasted);
}
