//! Namespaces, filters, quotas, and how long results live.

use std::time::Duration;

use api::task::{Assignment, Outcome, TaskFailure};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::stack::{Answer, Master, Rules, Store, eventually, job};
use super::worker::Worker;
use crate::app::jobs::Quotas;

#[tokio::test]
async fn a_job_of_another_namespace_is_not_there() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let team = [("x-namespace", "team")];
    let answer = master.ask_with("POST", "/jobs", &team, Some(job(json!({})))).await;
    let accepted = answer.json();
    assert_eq!(accepted["namespace"], "team");
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/jobs/{id}?ns=team"));
    for (method, path) in [
        ("GET", ""),
        ("GET", "/plan"),
        ("GET", "/tasks"),
        ("GET", "/result"),
        ("GET", "/events"),
        ("DELETE", ""),
    ] {
        let answer = master.ask(method, &format!("/jobs/{id}{path}"), None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        let other = master.ask(method, &format!("/jobs/{id}{path}?ns=other"), None).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(
        master.ask("GET", &format!("/jobs/{id}?ns=team"), None).await.status,
        StatusCode::OK
    );
    let count = async |query: &str| {
        master.ask("GET", &format!("/jobs{query}"), None).await.json()["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((count("").await, count("?ns=team").await, count("?ns=*").await), (0, 1, 1));
    let any = master.ask("GET", &format!("/jobs/{id}?ns=*"), None).await;
    any.problem(400, "invalid_argument", "about one: name it");
    let keyed = [("x-namespace", "other"), ("idempotency-key", "k")];
    let theirs = master
        .ask_with("POST", "/jobs", &keyed, Some(job(json!({ "priority": 1 }))))
        .await;
    let ours = [("x-namespace", "team"), ("idempotency-key", "k")];
    let ours = master.ask_with("POST", "/jobs", &ours, Some(job(json!({})))).await;
    assert_eq!(
        (theirs.status, ours.status),
        (StatusCode::ACCEPTED, StatusCode::ACCEPTED),
        "keys are a namespace's own"
    );
    assert_eq!(
        master.ask("DELETE", &format!("/jobs/{id}?ns=team"), None).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn listings_are_filtered_by_label_name_and_time() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let red = master
        .submit(json!({ "name": "a", "labels": { "colour": "red", "size": "s" } }))
        .await;
    let blue = master
        .submit(json!({ "name": "b", "labels": { "colour": "blue", "size": "s" } }))
        .await;
    let at = master.ask("GET", &format!("/jobs/{blue}"), None).await.json()["submitted_at_ms"]
        .as_u64()
        .unwrap();
    let list = async |query: String| {
        let page = master.ask("GET", &format!("/jobs?{query}"), None).await.json();
        let ids = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(list("label=colour%3Dred".to_owned()).await, std::slice::from_ref(&red));
    assert_eq!(list("label=size=s".to_owned()).await.len(), 2);
    assert!(list("label=size=s,colour=green".to_owned()).await.is_empty());
    assert_eq!(list("name=b".to_owned()).await, [blue]);
    assert!(list(format!("since={}", at + 1)).await.is_empty());
    assert_eq!(list(format!("until={}", at + 1)).await.len(), 2);
}

#[tokio::test]
async fn over_its_quota_a_namespace_is_told_what_to_do_and_others_are_not() {
    let store = Store::open().await;
    let quotas = Quotas {
        queued_jobs: 2,
        ..Quotas::default()
    };
    let rules = Rules {
        quotas,
        ..Rules::default()
    };
    let master = Master::start_with(&store, "master-1", rules).await;
    master.leads().await;
    let keyed = [("idempotency-key", "k")];
    let first = master.ask_with("POST", "/jobs", &keyed, Some(job(json!({})))).await.json();
    master.submit(json!({})).await;
    let refused = master.ask("POST", "/jobs", Some(job(json!({})))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert_eq!(refused.json()["code"], "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    assert!(
        refused.json()["detail"].as_str().unwrap().contains("2 jobs waiting, of "),
        "{}",
        refused.text()
    );
    let again = master.ask_with("POST", "/jobs", &keyed, Some(job(json!({})))).await;
    assert_eq!(again.json()["id"], first["id"], "what was accepted is not refused");
    assert_eq!(
        master.ask("POST", "/jobs?ns=other", Some(job(json!({})))).await.status,
        StatusCode::ACCEPTED
    );
}

#[tokio::test]
async fn large_submissions_count_by_their_bytes() {
    let store = Store::open().await;
    let rules = Rules {
        quotas: Quotas {
            queued_bytes: 20_000,
            ..Quotas::default()
        },
        ..Rules::default()
    };
    let master = Master::start_with(&store, "master-1", rules).await;
    master.leads().await;
    let long = json!({ "query": format!("SELECT 1 -- {}", "x".repeat(15_000)) });
    master.submit(long.clone()).await;
    master.submit(long.clone()).await;
    let refused = master.ask("POST", "/jobs", Some(job(long))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("2 jobs waiting, of 30") && detail.contains("of 20000 bytes"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_namespace_that_keeps_too_much_is_refused_until_some_of_it_is_gone() {
    let store = Store::open().await;
    let rules = Rules {
        quotas: Quotas {
            stored_jobs: 1,
            ..Quotas::default()
        },
        ..Rules::default()
    };
    let master = Master::start_with(&store, "master-1", rules).await;
    master.leads().await;
    let first = master.submit(json!({ "result_ttl": 3 })).await;
    Worker::of(&master).work().await;
    master.until(&first, "succeeded").await;
    let refused = master.ask("POST", "/jobs", Some(job(json!({})))).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text());
    assert!(refused.text().contains("shorter result_ttl"), "{}", refused.text());
    eventually(|| async { master.ask("POST", "/jobs", Some(job(json!({})))).await.status == StatusCode::ACCEPTED }).await;
}

#[tokio::test]
async fn a_job_may_say_how_long_its_result_lives() {
    let store = Store::open().await;
    let master = Master::start(&store, "master-1", Duration::from_secs(24 * 60 * 60)).await;
    master.leads().await;
    let short = master.submit(json!({ "result_ttl": 1 })).await;
    Worker::of(&master).work().await;
    let path = format!("/jobs/{short}");
    eventually(|| async { master.ask("GET", &path, None).await.status == StatusCode::NOT_FOUND }).await;
    let left = store
        .store
        .range(control::Range::prefix("jobs/"), control::Consistency::Linearizable)
        .await
        .unwrap();
    assert!(left.items.is_empty(), "{:?}", left.items);
}

#[tokio::test]
async fn figures_for_dashboards_are_there() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    master.submit(json!({ "priority": 9 })).await;
    master.submit(json!({})).await;
    let figures = async || master.ask("GET", "/metrics", None).await.text();
    eventually(|| async {
        let text = figures().await;
        text.contains("jobs_queued{priority=\"high\"} 1") && text.contains("jobs_queued{priority=\"normal\"} 1")
    })
    .await;
    let mut worker = Worker::of(&master);
    worker.work().await;
    let text = figures().await;
    for line in [
        "job_slots{state=\"busy\"}",
        "task_twins_total 0",
        "job_workers_shunned 0",
        "task_wait_seconds_count",
        "tasks_total{result=\"done\"}",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[tokio::test]
async fn workers_that_are_left_out_are_named_by_the_leader() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let (mut bad, mut good) = (Worker::of(&master), Worker::named(&master, "worker-2"));
    good.shape = vec![(9, Vec::new())];
    let status = async || {
        let request = Request::get("/internal/v1/cluster/status").body(Body::empty()).unwrap();
        Answer::of(master.private.clone(), request).await.json()
    };
    let id = master.submit(json!({})).await;
    good.plan().await;
    // It is given half of its slots at a time.
    for _ in 0..2 {
        for work in bad.poll(10_000).await.start.iter().map(Assignment::work) {
            let failure = TaskFailure::Retryable("the disk is full".to_owned());
            bad.report(work, Outcome::Failed(failure)).await;
        }
    }
    assert!(status().await["workers_left_out"].is_null());
    good.work_until_ended(&master, &id).await;
    eventually(|| async { status().await["workers_left_out"] == json!(["worker-1"]) }).await;
}
