//! From `POST /jobs` to the rows.

use std::time::{Duration, Instant};

use api::task::WorkId;
use axum::http::StatusCode;
use serde_json::json;

use super::stack::{Master, Store, eventually, job};
use super::worker::Worker;

#[tokio::test]
async fn a_job_runs_to_its_rows_in_every_format() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({ "name": "three", "labels": { "team": "a" } })).await;
    let mut worker = Worker::of(&master);
    worker.work().await;

    let done = master.until(&id, "succeeded").await;
    assert_eq!((&done["name"], &done["labels"]["team"]), (&json!("three"), &json!("a")));
    assert_eq!(done["progress"]["tasks"], json!({ "done": 3, "total": 3 }));
    assert_eq!(done["result"]["columns"][0]["name"], "n");
    assert!(done["finished_at_ms"].as_u64() >= done["submitted_at_ms"].as_u64());

    let result = |format: &str| format!("/jobs/{id}/result?format={format}");
    let json = master.ask("GET", &format!("/jobs/{id}/result"), None).await;
    assert_eq!(json.headers["content-type"], "application/json");
    assert_eq!(json.json(), json!([{ "n": 1 }, { "n": 2 }, { "n": 1 }]));
    assert_eq!(master.ask("GET", &result("csv"), None).await.text(), "n\n1\n2\n1\n");
    assert_eq!(master.ask("GET", &result("ndjson"), None).await.text().lines().count(), 3);
    assert!(master.ask("GET", &result("parquet"), None).await.body.starts_with(b"PAR1"));
    assert_eq!(master.ask("GET", &result("arrow"), None).await.status, StatusCode::OK);

    let plan = master.ask("GET", &format!("/jobs/{id}/plan"), None).await.text();
    assert!(
        plan.contains("stage 1: 1 tasks x 1 outputs, reads stage 0\nScanExec"),
        "{plan}"
    );
    eventually(|| async { worker_forgets(&master, &id).await }).await;
    let figures = master.ask("GET", "/metrics", None).await.text();
    assert!(
        figures.contains("jobs_total{state=\"succeeded\"} 1") && figures.contains("jobs_running 0"),
        "{figures}"
    );
}

async fn worker_forgets(master: &Master, id: &str) -> bool {
    let forgotten = Worker::of(master).poll(0).await.forget;
    forgotten.is_empty() || forgotten.iter().any(|job| job.to_string() == id)
}

#[tokio::test]
async fn waiting_gives_the_rows_at_once() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let mut worker = Worker::of(&master);
    let headers = [("prefer", "wait=30")];
    let (answer, ()) = tokio::join!(
        master.ask_with("POST", "/jobs", &headers, Some(job(json!({})))),
        worker.work()
    );
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.headers["preference-applied"], "wait=30");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.headers["location"], format!("/jobs/{id}"));
    assert_eq!(answer.json()["rows"], json!([{ "n": 1 }, { "n": 2 }, { "n": 1 }]));
}

#[tokio::test]
async fn waiting_in_vain_answers_202_with_the_job() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let answer = master
        .ask_with("POST", "/jobs", &[("prefer", "wait=1")], Some(job(json!({}))))
        .await;
    assert_eq!(
        (answer.status, &answer.json()["state"]),
        (StatusCode::ACCEPTED, &json!("queued"))
    );
}

#[tokio::test]
async fn who_waits_at_a_master_that_stops_is_told_of_the_job_at_once() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let stop = async {
        eventually(|| async { master.ask("GET", "/jobs", None).await.json()["items"][0]["state"] == "queued" }).await;
        master.interrupt();
    };
    let waiting = master.ask_with("POST", "/jobs", &[("prefer", "wait=60")], Some(job(json!({}))));
    let both = tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(waiting, stop) });
    let (answer, ()) = both.await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["state"]),
        (StatusCode::ACCEPTED, &json!("queued"))
    );
}

#[tokio::test]
async fn an_error_of_the_user_is_a_problem_when_waited_for_and_stays_in_the_job() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let mut worker = Worker::of(&master);
    let headers = [("prefer", "wait=30")];
    let (answer, ()) = tokio::join!(
        master.ask_with("POST", "/jobs", &headers, Some(job(json!({})))),
        worker.refuse("table t not found")
    );
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["detail"], "table t not found");
    let failed = master
        .ask("GET", answer.headers["location"].to_str().unwrap(), None)
        .await
        .json();
    assert_eq!(
        (&failed["state"], &failed["error"]["code"]),
        (&json!("failed"), &json!("invalid_argument"))
    );
}

#[tokio::test]
async fn a_held_back_poll_is_answered_as_soon_as_there_is_work() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let mut worker = Worker::of(&master);
    let began = Instant::now();
    let (work, id) = tokio::join!(worker.next(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        master.submit(json!({})).await
    });
    assert_eq!(work.job().to_string(), id);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(worker.poll(50).await.start.is_empty(), "and without work when its time is up");
}

#[tokio::test]
async fn stage_plans_are_served_raw_while_the_job_runs() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    let mut worker = Worker::of(&master);
    worker.plan().await;
    let ask = async |path: String| {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        super::stack::Answer::of(master.private.clone(), request).await
    };
    assert_eq!(ask(format!("/internal/v1/jobs/{id}/stages/1")).await.body, [7, 7, 7]);
    assert_eq!(
        ask(format!("/internal/v1/jobs/{id}/stages/9")).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn cancelling_is_durable_stops_the_work_and_may_be_repeated() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    let mut worker = Worker::of(&master);
    let planning = worker.next().await;

    let cancelled = master.ask("DELETE", &format!("/jobs/{id}"), None).await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["state"]),
        (StatusCode::OK, &json!("cancelled"))
    );
    assert_eq!(worker.poll(10_000).await.cancel, [planning]);
    let again = master.ask("DELETE", &format!("/jobs/{id}"), None).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(
        master.ask("GET", &format!("/jobs/{id}/result"), None).await.status,
        StatusCode::CONFLICT
    );
}

#[tokio::test]
async fn what_has_succeeded_cannot_be_cancelled() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    Worker::of(&master).work().await;
    master.until(&id, "succeeded").await;
    let refused = master.ask("DELETE", &format!("/jobs/{id}"), None).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(
        refused.json()["detail"],
        "the job has already succeeded; there is nothing to cancel"
    );
}

#[tokio::test]
async fn events_tell_the_changes_and_end_with_the_job() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let id = master.submit(json!({})).await;
    let path = format!("/jobs/{id}/events");
    let mut worker = Worker::of(&master);
    let (events, ()) = tokio::join!(master.ask("GET", &path, None), async {
        let planning = worker.next().await;
        assert!(matches!(planning, WorkId::Plan(..)));
        master.until(&id, "planning").await;
        master.ask("DELETE", &format!("/jobs/{id}"), None).await;
    });
    let states: Vec<_> = events
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").map(str::to_owned))
        .collect();
    let states: Vec<serde_json::Value> = states.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let states: Vec<_> = states.iter().map(|job| job["state"].as_str().unwrap()).collect();
    assert_eq!((states.first(), states.last()), (Some(&"queued"), Some(&"cancelled")));
    assert_eq!(events.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn listings_are_newest_first_filtered_and_paged() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(master.submit(json!({})).await);
    }
    ids.reverse();
    master.ask("DELETE", &format!("/jobs/{}", ids[2]), None).await;
    let list = async |query: String| {
        let page = master.ask("GET", &format!("/jobs?{query}"), None).await.json();
        let ids: Vec<_> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page["next"].as_str().map(str::to_owned))
    };
    assert_eq!(list(String::new()).await, (ids.clone(), None));
    assert_eq!(list("limit=2".to_owned()).await, (ids[..2].to_vec(), Some(ids[1].clone())));
    assert_eq!(
        list(format!("limit=2&after={}", ids[1])).await,
        (ids[2..4].to_vec(), Some(ids[3].clone()))
    );
    assert_eq!(list(format!("limit=2&after={}", ids[3])).await, (ids[4..].to_vec(), None));
    assert_eq!(list("state=cancelled".to_owned()).await, (vec![ids[2].clone()], None));
    assert_eq!(list("state=queued&limit=4".to_owned()).await.0.len(), 4);
}

#[tokio::test]
async fn ended_jobs_go_when_their_time_is_over() {
    let store = Store::open().await;
    let master = Master::start(&store, "master-1", Duration::from_secs(1)).await;
    master.leads().await;
    let body = job(json!({}));
    let headers = [("idempotency-key", "once")];
    let answer = master.ask_with("POST", "/jobs", &headers, Some(body.clone())).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    Worker::of(&master).work().await;
    let path = format!("/jobs/{id}");
    eventually(|| async { master.ask("GET", &path, None).await.status == StatusCode::NOT_FOUND }).await;
    assert_eq!(
        master.ask("GET", &format!("{path}/result"), None).await.status,
        StatusCode::NOT_FOUND
    );
    let left = store
        .store
        .range(control::Range::prefix("jobs/"), control::Consistency::Linearizable)
        .await
        .unwrap();
    assert!(left.items.is_empty(), "{:?}", left.items);
    let again = master.ask_with("POST", "/jobs", &headers, Some(body)).await.json();
    assert_ne!(again["id"], id.as_str());
}
