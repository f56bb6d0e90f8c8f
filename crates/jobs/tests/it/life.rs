//! From acceptance to the end, without faults.

use api::job::JobState;
use api::task::{Assignment, Outcome, ResultPart, TaskFailure, WorkId};
use api::{ErrorCode, JobId};
use jobs::{CancelError, Command, Heard, PartLocation, Policy};

use crate::bench::{Bench, FakeWorker, graph, job_id, place, spec, stage, task, tasks};

#[test]
fn a_job_goes_through_planning_and_its_stages_to_success() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 4));
    let job = bench.planned(1, &mut w, graph(vec![stage(2, &[]), stage(1, &[0])]));
    assert_eq!(bench.scheduler.record(job).unwrap().state, JobState::Running);

    let first = tasks(&bench.poll(&mut w));
    assert_eq!(
        first.iter().map(place).collect::<Vec<_>>(),
        [(0, 0), (0, 1)],
        "the reader waits for its input"
    );
    bench.done(&mut w, first[0]);
    assert!(
        bench.poll(&mut w).start.is_empty(),
        "one partition of the input is still missing"
    );
    bench.done(&mut w, first[1]);

    let response = bench.poll(&mut w);
    let (last, inputs) = task(&response.start[0]);
    assert!(matches!(
        response.start[0],
        Assignment::Run {
            last: true,
            partitions: 1,
            ..
        }
    ));
    assert_eq!(inputs.len(), 1);
    assert_eq!(
        inputs[0].producers.iter().map(|p| p.address.as_str()).collect::<Vec<_>>(),
        ["w:1", "w:1"]
    );
    bench.done(&mut w, last);

    let ending = bench.ending().unwrap();
    assert_eq!(ending.record.state, JobState::Succeeded);
    assert_eq!(ending.parts, [ResultPart::Inline("1/0/0".into())]);
    assert_eq!(ending.record.parts, [PartLocation::Inline { bytes: 5, rows: 10 }]);
    assert_eq!(ending.record.result.as_ref().unwrap().rows, 10);
    assert_eq!(
        (ending.record.progress.tasks.done, ending.record.progress.tasks.total),
        (3, 3)
    );
}

#[test]
fn first_order_is_to_plan_and_names_the_query() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 3));
    let job = bench.submit(1);
    assert_eq!(bench.scheduler.record(job).unwrap().state, JobState::Queued);
    let start = bench.poll(&mut w).start;
    assert!(matches!(&start[..], [Assignment::Plan { query, target_partitions: 3, .. }] if query == "select 1"));
    let record = bench.scheduler.record(job).unwrap();
    assert_eq!((record.state, record.started_at_ms), (JobState::Planning, Some(1_000)));
}

#[test]
fn the_end_is_kept_until_it_is_durable_and_then_forgotten() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let job = bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut w))[0];
    bench.done(&mut w, only);
    assert_eq!(bench.scheduler.cancel(bench.now, job), Err(CancelError::Ending));
    assert!(bench.poll(&mut w).forget.is_empty());

    bench.scheduler.finished(bench.now, job);
    assert_eq!(bench.scheduler.live_jobs(), 0);
    assert_eq!(bench.poll(&mut w).forget, [job]);
    assert_eq!(bench.scheduler.cancel(bench.now, job), Err(CancelError::NotLive));
}

#[test]
fn forgetting_is_repeated_for_a_while_since_answers_get_lost() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let job = bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    bench.scheduler.cancel(bench.now, job).unwrap();
    bench.scheduler.finished(bench.now, job);
    bench.poll_only(&w);
    assert_eq!(bench.poll(&mut w).forget, [job]);
    bench.now += Policy::default().forget_for;
    assert!(bench.poll(&mut w).forget.is_empty());
}

#[test]
fn cancellation_stops_the_work_at_the_next_poll_and_only_then_frees_the_slot() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let job = bench.planned(1, &mut w, graph(vec![stage(2, &[])]));
    let running = tasks(&bench.poll(&mut w))[0];
    let next = bench.submit(2);
    bench.scheduler.cancel(bench.now, job).unwrap();

    let response = bench.scheduler.offer(bench.now, &w.id).expect("a cancellation does not wait");
    assert_eq!(response.cancel, [WorkId::Task(running)]);
    assert!(response.start.is_empty(), "the slot is still taken");
    assert!(bench.scheduler.offer(bench.now, &w.id).is_none(), "it was told");

    w.running.clear();
    assert_eq!(bench.poll(&mut w).start[0].work().job(), next);
}

#[test]
fn user_errors_fail_the_job_at_once_with_their_message() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.submit(1);
    let plan = bench.poll(&mut w).start[0].work();
    let failure = TaskFailure::User {
        code: ErrorCode::InvalidArgument,
        detail: "no column x".to_owned(),
    };
    bench.report(&mut w, plan, Outcome::Failed(failure));
    let record = bench.ending().unwrap().record;
    assert_eq!(record.state, JobState::Failed);
    assert_eq!(
        record.error.map(|e| (e.code, e.detail)),
        Some((ErrorCode::InvalidArgument, "no column x".to_owned()))
    );
}

#[test]
fn a_plan_that_cannot_run_is_retried_and_then_fails_the_job() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    bench.submit(1);
    for _ in 0..4 {
        bench.advance(5_000);
        let plan = bench.poll(&mut w).start[0].work();
        bench.report(&mut w, plan, Outcome::Planned(graph(vec![])));
    }
    assert_eq!(
        bench.failure(),
        "planning failed 4 times, the last time on w: the plan has no stages"
    );
}

#[test]
fn jobs_over_their_timeout_fail() {
    let mut bench = Bench::new();
    let mut w = FakeWorker::new("w", 1);
    let mut hurried = spec();
    hurried.timeout = Some(5);
    bench.submit_spec(1, hurried);
    bench.poll(&mut w);
    bench.advance(4_999);
    assert!(bench.ending().is_none());
    bench.advance(1);
    assert_eq!(bench.failure(), "the job did not end within its timeout of 5 s");
}

#[test]
fn without_any_worker_jobs_wait_a_minute_and_fail_with_what_to_do() {
    let mut bench = Bench::new();
    bench.advance(50_000);
    bench.submit(1);
    bench.advance(59_999);
    assert!(bench.ending().is_none(), "the wait of a job begins with its acceptance");
    bench.advance(1);
    assert_eq!(
        bench.failure(),
        "no worker has been connected for 60 s; start one and submit the job again"
    );
}

#[test]
fn too_large_inline_results_fail_the_job() {
    let mut bench = Bench::with(Policy {
        max_inline_bytes: 4,
        ..Policy::default()
    });
    let mut w = FakeWorker::new("w", 1);
    bench.planned(1, &mut w, graph(vec![stage(1, &[])]));
    let only = tasks(&bench.poll(&mut w))[0];
    bench.done(&mut w, only);
    assert_eq!(bench.ending().unwrap().record.error.unwrap().code, ErrorCode::TooLarge);
}

#[test]
fn reports_of_unknown_jobs_are_answered_with_forget() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let unknown: JobId = job_id(9);
    let answer = bench.report(&mut w, WorkId::Plan(unknown, 0), Outcome::Planned(graph(vec![])));
    assert_eq!(answer, Heard::Forget);
    w.running.push(WorkId::Plan(unknown, 0));
    let response = bench.poll(&mut w);
    assert_eq!(
        (response.cancel, response.forget),
        (vec![WorkId::Plan(unknown, 0)], vec![unknown])
    );
}

#[test]
fn stage_plans_and_the_text_are_there_once_planned() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let job = bench.planned(1, &mut w, graph(vec![stage(2, &[]), stage(1, &[0])]));
    assert_eq!(bench.scheduler.stage_plan(job, 1).as_deref(), Some(b"plan".as_slice()));
    assert_eq!(bench.scheduler.stage_plan(job, 2), None);
    let text = bench.scheduler.plan_text(job);
    assert_eq!(
        text.as_deref(),
        Some("stage 0: 2 tasks x 1 outputs\nScan\n\nstage 1: 1 tasks x 1 outputs, reads stage 0\nScan\n\n")
    );
}

#[test]
fn a_dry_run_gives_the_plan_and_leaves_nothing() {
    let (mut bench, mut w) = (Bench::new(), FakeWorker::new("w", 1));
    let dry = |bench: &mut Bench, n| {
        bench
            .scheduler
            .dry_run(bench.now, jobs::JobRecord::new(job_id(n), spec(), bench.now));
    };
    dry(&mut bench, 1);
    let plan = bench.poll(&mut w).start[0].work();
    bench.report(&mut w, plan, Outcome::Planned(graph(vec![stage(3, &[])])));
    let planned = graph(vec![stage(3, &[])]);
    assert!(bench.commands.contains(&Command::DryRan(job_id(1), Ok(Box::new(planned)))));
    assert!(bench.scheduler.live_jobs() == 0 && bench.poll(&mut w).start.is_empty());

    dry(&mut bench, 2);
    let plan = bench.poll(&mut w).start[0].work();
    let failure = TaskFailure::User {
        code: ErrorCode::InvalidArgument,
        detail: "no column x".to_owned(),
    };
    bench.report(&mut w, plan, Outcome::Failed(failure));
    let why = bench.commands.iter().find_map(|command| match command {
        Command::DryRan(_, Err(problem)) => Some(problem.detail.clone()),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("no column x"));
    assert!(bench.ending().is_none() && bench.scheduler.live_jobs() == 0);
}
