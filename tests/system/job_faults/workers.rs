//! Workers that die, all at once too, and one that stands still.

use std::time::Duration;

use api::member::Role;
use system_tests::{Sandbox, eventually};

use super::work::{
    all_busy, counted, in_map, in_reduce, orders, right, slow_map, slow_map_answer, slow_reduce, slow_reduce_answer,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_in_the_first_stage_costs_time_and_nothing_else() {
    let mut stack = Sandbox::raft().auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    in_map(&api, &id).await;
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
    // Slots of one, so that the stopped worker holds one task; and a lease that its silence does not outlast.
    let mut stack = Sandbox::raft()
        .auxiliaries(1)
        .set(Role::Worker, "WORKER_SLOTS", 1)
        .start()
        .await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    all_busy(&stack.workers).await;
    stack.workers[0].pause();
    right(&api, &id, &slow_map_answer(&orders)).await;
    let twins = counted(&stack.masters, "task_twins_total", &[]).await;
    assert!(twins >= 1.0, "a second worker ran the slow task too: {twins}");
    let refused = counted(&stack.masters, "tasks_total", &["result=\"refused\""]).await;
    stack.workers[0].resume();
    eventually(
        "the worker to be back and the late report to be refused or dropped",
        Duration::from_secs(60),
        || async {
            let workers = counted(&stack.masters, "job_workers", &[]).await;
            let late = counted(&stack.masters, "tasks_total", &["result=\"refused\""]).await;
            let busy = counted(&stack.workers, "worker_slots_in_use", &[]).await;
            if workers == 2.0 && busy == 0.0 && late >= refused {
                Ok(())
            } else {
                Err(format!("{workers} workers, {late} refused, {busy} slots in use"))
            }
        },
    )
    .await;
    let again = api.submit(&slow_map(&orders)).await;
    right(&api, &again, &slow_map_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}
