//! Leaders killed while they plan, run and commit: what is done is not done again, and a result is committed once.

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::sample::Orders;
use system_tests::{Api, Sandbox, eventually};

use super::work::{counted, in_map, in_reduce, orders, right, slow_map, slow_map_answer, slow_reduce, slow_reduce_answer};

/// Life of a leader's lease, a campaign, and a busy machine.
const NEXT: Duration = Duration::from_secs(20);

/// Planning it takes seconds: the expression is as deep as the engine allows.
fn slow_plan(orders: &Orders) -> Value {
    let mut spec = orders.revenue_by_region();
    let deep = " + id".repeat(900);
    spec["query"] = json!(format!(
        "SELECT region, count(*) AS orders, sum(amount) AS revenue FROM orders WHERE id{deep} >= 0 GROUP BY region ORDER BY region"
    ));
    spec
}

async fn killed(stack: &mut Sandbox) -> usize {
    let leader = stack.leader(NEXT).await;
    stack.masters[leader].kill();
    leader
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_killed_while_the_job_is_planned() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_plan(&orders)).await;
    eventually("the job to be planned", Duration::from_secs(30), || async {
        let job = api.job(&id).await?;
        if job["state"] == "planning" {
            Ok(())
        } else {
            Err(job.to_string())
        }
    })
    .await;
    killed(&mut stack).await;
    right(&api, &id, &orders.revenue_by_region_answer()).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_killed_in_the_first_stage_and_done_tasks_are_not_repeated() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    in_map(&api, &id).await;
    killed(&mut stack).await;
    let job = right(&api, &id, &slow_map_answer(&orders)).await;
    nothing_was_repeated(&stack, &job).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_killed_in_a_later_stage_and_done_tasks_are_not_repeated() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    in_reduce(&api, &id).await;
    killed(&mut stack).await;
    let job = right(&api, &id, &slow_reduce_answer(&orders)).await;
    nothing_was_repeated(&stack, &job).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// The workers, which lived on, finished each task once.
async fn nothing_was_repeated(stack: &Sandbox, job: &Value) {
    let done = counted(&stack.workers, "tasks_total", &["result=\"done\""]).await;
    let total = job["progress"]["tasks"]["total"].as_f64().unwrap();
    assert_eq!(done, total, "the workers finished {done} tasks of {total}: {job:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_killed_while_it_commits_and_the_result_is_there_once() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_map(&orders)).await;
    in_map(&api, &id).await;
    let total = api.job(&id).await.unwrap()["progress"]["tasks"]["total"].as_f64().unwrap();
    let leader = stack.leader(NEXT).await;
    eventually("the workers to be in the last tasks", Duration::from_secs(60), || async {
        let done = counted(&stack.workers, "tasks_total", &["result=\"done\""]).await;
        if done >= total - 3.0 {
            Ok(())
        } else {
            Err(format!("{done} of {total}"))
        }
    })
    .await;
    // From here on nothing can be written: the end hangs in the leader's hands, unless it was quicker.
    stack.etcd.as_mut().unwrap().servers().for_each(|server| server.pause());
    eventually("the workers to be done", Duration::from_secs(60), || async {
        let done = counted(&stack.workers, "tasks_total", &["result=\"done\""]).await;
        if done >= total {
            Ok(())
        } else {
            Err(format!("{done} of {total}"))
        }
    })
    .await;
    stack.masters[leader].kill();
    stack.etcd.as_mut().unwrap().servers().for_each(|server| server.resume());
    right(&api, &id, &slow_map_answer(&orders)).await;
    committed_once(&stack, &api, &id).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// One record, final, written by one leader after the other and no more.
async fn committed_once(stack: &Sandbox, api: &Api, id: &str) {
    let first = api.result(id, "csv").await.text();
    let record = stack
        .etcd
        .as_ref()
        .unwrap()
        .records()
        .get(&format!("jobs/records/{id}"))
        .await
        .unwrap();
    let again = api.result(id, "csv").await.text();
    assert_eq!(first, again);
    let listed = api.get("/jobs?limit=10").await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let now = stack
        .etcd
        .as_ref()
        .unwrap()
        .records()
        .get(&format!("jobs/records/{id}"))
        .await
        .unwrap();
    assert_eq!(record.mod_revision, now.mod_revision, "the record of an ended job changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_leader_in_turn_is_killed_and_the_job_ends_right() {
    let mut stack = Sandbox::etcd(1).auxiliaries(1).start().await;
    let (api, orders) = (stack.api(), orders(&stack));
    let id = api.submit(&slow_reduce(&orders)).await;
    for _ in 0..2 {
        let job = api.job(&id).await.unwrap();
        if job["state"] == "succeeded" {
            break;
        }
        let leader = killed(&mut stack).await;
        stack.leader(NEXT).await;
        stack.masters[leader].start();
        stack.masters[leader].ready(Duration::from_secs(60)).await;
    }
    right(&api, &id, &slow_reduce_answer(&orders)).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}
