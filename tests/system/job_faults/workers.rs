//! Workers that die, all at once too, and one that stands still.

use std::time::Duration;

use api::job::Cost;
use api::member::{Member, Role};
use api::task::{Outcome, Report, TaskId, TaskOutput, WorkId};
use api::{BootId, NodeId};
use system_tests::{Api, Sandbox, eventually};

use super::work::{
    all_busy, counted, in_reduce, orders, right, slow_map, slow_map_and_reduce, slow_map_answer, slow_reduce, slow_reduce_answer,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_in_the_first_stage_costs_time_and_nothing_else() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    all_busy(&stack.workers).await;
    stack.workers[0].kill();
    let job = right(&api, &id, &slow_map_answer(&orders)).await;
    assert!(
        job["progress"]["retries"].as_u64() > Some(0),
        "something was done again: {job:#}"
    );
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_in_a_later_stage_takes_its_outputs_along_and_they_are_made_again() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    in_reduce(&api, &id).await;
    stack.workers[1].kill();
    let job = right(&api, &id, &slow_reduce_answer(&orders)).await;
    assert!(
        job["progress"]["retries"].as_u64() > Some(0),
        "something was done again: {job:#}"
    );
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_killed_and_new_ones_started_finish_the_job() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    in_reduce(&api, &id).await;
    for worker in &mut stack.workers {
        worker.kill();
    }
    eventually("the master to have lost both workers", Duration::from_secs(40), || async {
        let workers = counted(&stack.masters, "job_workers", &[]).await;
        if workers == 0.0 { Ok(()) } else { Err(workers.to_string()) }
    })
    .await;
    let waiting = api.job(&id).await.unwrap();
    assert_eq!(waiting["state"], "running", "it waits for workers: {waiting:#}");
    for worker in &mut stack.workers {
        worker.start();
    }
    right(&api, &id, &slow_reduce_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_of_a_task_on_a_stopped_worker_wins_and_the_late_report_is_refused() {
    // Slots of one, so that the stopped worker holds one task; tasks so short that its twin ends long before its silence counts as loss.
    let mut stack = Sandbox::etcd(1)
        .auxiliaries(1)
        .set(Role::Worker, "WORKER_SLOTS", 1)
        .start()
        .await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map_and_reduce(&orders)).await;
    all_busy(&stack.workers).await;
    let boot_id = boot_of(&stack, stack.workers[0].name()).await;
    stack.workers[0].pause();
    in_reduce(&api, &id).await;
    let twins = counted(&stack.masters, "task_twins_total", &[]).await;
    assert!(twins >= 1.0, "a second worker ran the slow task too: {twins}");

    // What the stopped worker would say, now that its twin has won.
    let refused = refused_reports(&stack).await;
    let loser = attempt_in_hand(&api, &id, stack.workers[0].name()).await;
    let report = Report {
        worker: NodeId::try_new(stack.workers[0].name()).unwrap(),
        boot_id,
        work: WorkId::Task(loser),
        outcome: Outcome::Done(TaskOutput {
            rows: 1,
            bytes: 1,
            result: None,
            cost: Cost::default(),
        }),
        wasted: Cost::default(),
    };
    let leader = stack.masters[stack.leader(Duration::from_secs(5)).await].private();
    let answer = leader
        .request("POST", "/internal/v1/jobs/report")
        .header("x-cluster-token", &stack.token)
        .body(postcard::to_allocvec(&report).unwrap())
        .send()
        .await;
    let answer = answer.expect(200).json();
    assert_ne!(answer["forget"], true, "the job is not over: {answer}");
    eventually("the late report to be refused", Duration::from_secs(10), || async {
        let now = refused_reports(&stack).await;
        if now == refused + 1.0 {
            Ok(())
        } else {
            Err(format!("{now} refused, {refused} before"))
        }
    })
    .await;
    right(&api, &id, &slow_map_answer(&orders)).await;

    stack.workers[0].resume();
    eventually(
        "the worker to be back with nothing to do",
        Duration::from_secs(60),
        || async {
            let workers = counted(&stack.masters, "job_workers", &[]).await;
            let busy = counted(&stack.workers, "worker_slots_in_use", &[]).await;
            if workers == 2.0 && busy == 0.0 {
                Ok(())
            } else {
                Err(format!("{workers} workers, {busy} slots in use"))
            }
        },
    )
    .await;
    assert_eq!(
        api.result(&id, "json").await.json(),
        slow_map_answer(&orders),
        "the loser changed nothing"
    );
    let again = api.submit(&slow_map(&orders)).await;
    right(&api, &again, &slow_map_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn refused_reports(stack: &Sandbox) -> f64 {
    counted(&stack.masters, "tasks_total", &["result=\"refused\""]).await
}

/// The first attempt of a worker at a task of the first stage.
async fn attempt_in_hand(api: &Api, id: &str, worker: &str) -> TaskId {
    let tasks = api.get(&format!("/jobs/{id}/tasks?stage=0")).await.expect(200).json();
    let task = tasks["items"].as_array().unwrap().iter().find_map(|task| {
        let attempt = task["attempts"]
            .as_array()?
            .iter()
            .find(|attempt| attempt["worker"] == worker)?;
        Some((task["partition"].as_u64()?, attempt["attempt"].as_u64()?))
    });
    let (partition, attempt) = task.unwrap_or_else(|| panic!("{worker} had no task: {tasks:#}"));
    TaskId {
        job: id.parse().unwrap(),
        stage: 0,
        partition: u32::try_from(partition).unwrap(),
        attempt: u32::try_from(attempt).unwrap(),
    }
}

/// Which life of a worker is registered.
async fn boot_of(stack: &Sandbox, worker: &str) -> BootId {
    let records = stack.etcd.as_ref().unwrap().records();
    let record = records.get(&format!("members/worker/{worker}")).await.unwrap();
    let member: Member = serde_json::from_slice(&record.value).unwrap();
    member.boot_id
}
