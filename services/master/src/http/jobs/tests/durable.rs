//! Leaders and workers that come and go in the middle of a job.

use std::time::Duration;

use api::task::{Outcome, WorkId};
use serde_json::json;

use super::stack::{Master, Store, job};
use super::worker::{Worker, done};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The leader is gone at once, with all it had in memory; another one leads.
async fn next_leader(store: &Store, leader: Master, name: &str, worker: &mut Worker) -> Master {
    leader.stop().await;
    let next = Master::start(store, name, DAY).await;
    next.leads().await;
    worker.turn_to(&next);
    next
}

async fn finish(worker: &mut Worker, work: WorkId, last: bool) {
    let WorkId::Task(task) = work else {
        panic!("a task was expected")
    };
    assert!(worker.report(work, done(task, last)).await.durable);
}

/// Waits for work that is not started at once after a change of leader.
async fn next(worker: &mut Worker) -> WorkId {
    for _ in 0..10 {
        if let Some(assignment) = worker.poll(5_000).await.start.first() {
            return assignment.work();
        }
    }
    panic!("no work")
}

#[tokio::test]
async fn a_leader_lost_while_planning_is_succeeded_by_one_that_plans_anew() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let id = first.submit(json!({})).await;
    let mut worker = Worker::of(&first);
    let plan = worker.next().await;
    first.until(&id, "planning").await;
    let second = next_leader(&store, first, "master-2", &mut worker).await;
    assert_eq!(worker.poll(0).await.cancel, [plan], "nothing of it would count");
    let graph = worker.graph();
    worker.report(plan, Outcome::Planned(graph)).await;
    worker.work().await;
    second.until(&id, "succeeded").await;
    let plans = worker.given.iter().filter(|work| matches!(work, WorkId::Plan(..)));
    assert_eq!(plans.count(), 2);
}

#[tokio::test]
async fn tasks_that_were_done_or_running_when_the_leader_was_lost_are_not_done_again() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let id = first.submit(json!({})).await;
    let mut worker = Worker::of(&first);
    worker.plan().await;
    let scans: Vec<WorkId> = worker
        .poll(5_000)
        .await
        .start
        .iter()
        .map(api::task::Assignment::work)
        .collect();
    assert_eq!(scans.len(), 2);
    finish(&mut worker, scans[0], false).await;

    let second = next_leader(&store, first, "master-2", &mut worker).await;
    assert!(worker.poll(0).await.start.is_empty());
    finish(&mut worker, scans[1], false).await;
    let last = next(&mut worker).await;

    // And once more, before the commit.
    let third = next_leader(&store, second, "master-3", &mut worker).await;
    worker.poll(0).await;
    finish(&mut worker, last, true).await;
    let ended = third.until(&id, "succeeded").await;
    assert_eq!(
        (&ended["progress"]["retries"], &ended["progress"]["tasks"]["done"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(worker.tasks(), [(0, 0), (0, 1), (1, 0)], "each once");
    let rows = third.ask("GET", &format!("/jobs/{id}/result"), None).await.json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_report_that_the_lost_leader_did_not_make_durable_is_taken_by_the_next() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let id = first.submit(json!({})).await;
    let mut worker = Worker::of(&first);
    worker.plan().await;
    let scans: Vec<WorkId> = worker
        .poll(5_000)
        .await
        .start
        .iter()
        .map(api::task::Assignment::work)
        .collect();
    let WorkId::Task(task) = scans[0] else { panic!("a task") };
    let answered = tokio::time::timeout(Duration::from_millis(20), worker.report(scans[0], done(task, false))).await;
    assert!(answered.is_err(), "the answer waits until it is durable");

    let second = next_leader(&store, first, "master-2", &mut worker).await;
    assert!(worker.poll(0).await.start.is_empty());
    for scan in scans {
        finish(&mut worker, scan, false).await;
    }
    worker.work().await;
    second.until(&id, "succeeded").await;
    assert_eq!(worker.tasks(), [(0, 0), (0, 1), (1, 0)], "each once");
}

#[tokio::test]
async fn results_of_the_last_stage_are_durable_before_the_job_ends() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let id = first.submit(json!({})).await;
    let mut worker = Worker::of(&first);
    worker.shape = vec![(2, Vec::new())];
    worker.plan().await;
    let parts: Vec<WorkId> = worker
        .poll(5_000)
        .await
        .start
        .iter()
        .map(api::task::Assignment::work)
        .collect();
    finish(&mut worker, parts[0], true).await;

    // Everything is started anew: the worker has nothing any more.
    worker.restarted();
    let second = next_leader(&store, first, "master-2", &mut worker).await;
    let again = next(&mut worker).await;
    finish(&mut worker, again, true).await;
    second.until(&id, "succeeded").await;
    assert_eq!(worker.tasks(), [(0, 0), (0, 1), (0, 1)], "only the one that was lost");
    let rows = second.ask("GET", &format!("/jobs/{id}/result"), None).await.json();
    assert_eq!(rows.as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn everything_restarted_queued_and_running_jobs_go_on_and_keys_hold() {
    let store = Store::open().await;
    let first = Master::leading(&store).await;
    let keyed = [("idempotency-key", "once")];
    let id = first.ask_with("POST", "/jobs", &keyed, Some(job(json!({})))).await.json()["id"].clone();
    let id = id.as_str().unwrap().to_owned();
    let mut worker = Worker::of(&first);
    worker.plan().await;
    let scans: Vec<WorkId> = worker
        .poll(5_000)
        .await
        .start
        .iter()
        .map(api::task::Assignment::work)
        .collect();
    for scan in scans {
        finish(&mut worker, scan, false).await;
    }
    let queued = first.submit(json!({})).await;

    worker.restarted();
    let second = next_leader(&store, first, "master-2", &mut worker).await;
    let again = second.ask_with("POST", "/jobs", &keyed, Some(job(json!({})))).await.json();
    assert_eq!(again["id"], id.as_str());
    worker.work_until_ended(&second, &id).await;
    worker.work_until_ended(&second, &queued).await;
    second.until(&id, "succeeded").await;
    second.until(&queued, "succeeded").await;
    let of_first = worker.given.iter().filter(|work| work.job().to_string() == id);
    assert_eq!(
        of_first.count(),
        1 + 2 + 2 + 1,
        "the shuffle files were lost with the worker, the plan was not"
    );
    let left = store
        .store
        .range(control::Range::prefix("jobs/plans/"), control::Consistency::Linearizable)
        .await
        .unwrap();
    assert!(
        left.items.iter().all(|entry| !entry.key.contains("/stages/")),
        "plans of tasks go with the end"
    );
}
