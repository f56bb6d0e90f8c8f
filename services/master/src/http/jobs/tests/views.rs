//! What can be seen of a job: its plan, its tasks, what went wrong; and what a dry run shows.

use api::task::{Outcome, TaskFailure};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::stack::{Master, Store, job};
use super::worker::{Worker, done};

#[tokio::test]
async fn plans_are_text_json_or_a_graph() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    Worker::of(&master).work().await;
    master.until(&id, "succeeded").await;
    let path = format!("/jobs/{id}/plan");
    let text = master.ask("GET", &path, None).await;
    assert!(
        text.text().starts_with("stage 0: 2 tasks x 1 outputs\nScanExec"),
        "{}",
        text.text()
    );
    let plan = master
        .ask_with("GET", &path, &[("accept", "application/json")], None)
        .await
        .json();
    assert_eq!(
        plan["stages"][1],
        json!({ "stage": 1, "tasks": 1, "outputs": 1, "inputs": [0], "deterministic": true, "plan": "ScanExec" })
    );
    assert_eq!(plan["columns"][0]["name"], "n");
    let dot = master.ask("GET", &format!("{path}?format=dot"), None).await;
    assert_eq!(dot.headers["content-type"], "text/vnd.graphviz");
    assert!(dot.text().contains("s0 -> s1"), "{}", dot.text());
}

#[tokio::test]
async fn tasks_show_their_attempts_while_the_job_runs_and_after_its_end() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    let mut worker = Worker::of(&master);
    worker.plan().await;
    let scans: Vec<_> = worker
        .poll(5_000)
        .await
        .start
        .iter()
        .map(api::task::Assignment::work)
        .collect();
    let failure = TaskFailure::Retryable("disk full".to_owned());
    worker.report(scans[0], Outcome::Failed(failure)).await;

    let path = format!("/jobs/{id}/tasks");
    let list = async |query: &str| master.ask("GET", &format!("{path}?{query}"), None).await.json();
    let first = list("limit=1").await;
    let attempt = &first["items"][0]["attempts"][0];
    assert_eq!(
        (&attempt["state"], &attempt["error"], &attempt["worker"]),
        (&json!("failed"), &json!("disk full"), &json!("worker-1"))
    );
    assert_eq!(first["next"], "0.0");
    let second = list("limit=1&after=0.0").await;
    assert_eq!(
        (&second["items"][0]["partition"], &second["items"][0]["state"]),
        (&json!(1), &json!("running"))
    );
    assert_eq!(list("stage=1").await["items"][0]["state"], "pending");

    let api::task::WorkId::Task(task) = scans[1] else {
        panic!("a task")
    };
    worker.report(scans[1], done(task, false)).await;
    worker.work().await;
    let ended = master.until(&id, "succeeded").await;
    assert_eq!(ended["progress"]["retries"], 1);
    let all = list("").await;
    let states: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["done", "done", "done"]);
    assert_eq!(all["items"][0]["attempts"].as_array().unwrap().len(), 2);
    assert!(list("state=pending").await["items"].as_array().unwrap().is_empty());

    let events = master.ask("GET", &format!("/jobs/{id}/events"), None).await.text();
    assert!(
        events.contains("event: note") && events.contains("\"kind\":\"task_failed\""),
        "{events}"
    );
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_leaves_nothing() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let follower = Master::start(&store, "master-2", std::time::Duration::from_secs(60)).await;
    let mut worker = Worker::of(&master);
    for asked in [&master, &follower] {
        let (answer, _) = tokio::join!(asked.ask("POST", "/jobs?dry_run=true", Some(job(json!({})))), worker.plan());
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let plan = answer.json();
        assert_eq!(plan["estimate"], json!({ "tasks": 3, "scans": 2, "blobs": 0 }));
        assert_eq!(plan["stages"].as_array().unwrap().len(), 2);
    }
    let headers = [("prefer", "wait=5")];
    let (refused, ()) = tokio::join!(
        master.ask_with("POST", "/jobs?dry_run=true", &headers, Some(job(json!({})))),
        worker.refuse("no column x")
    );
    assert_eq!(
        (refused.status, &refused.json()["detail"]),
        (StatusCode::BAD_REQUEST, &json!("no column x"))
    );
    assert!(worker.poll(50).await.start.is_empty());
    let left = store
        .store
        .range(control::Range::prefix("jobs/"), control::Consistency::Linearizable)
        .await
        .unwrap();
    assert!(left.items.is_empty(), "{:?}", left.items);
}

#[tokio::test]
async fn head_says_whether_there_is_a_result_and_how_many_rows() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    let path = format!("/jobs/{id}/result?format=csv");
    assert_eq!(master.ask("HEAD", &path, None).await.status, StatusCode::CONFLICT);
    Worker::of(&master).work().await;
    master.until(&id, "succeeded").await;
    let head = master.ask("HEAD", &path, None).await;
    assert_eq!(
        (head.status, &head.headers["x-rows"]),
        (StatusCode::OK, &"3".parse().unwrap())
    );
    assert!(head.body.is_empty() && head.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
}
