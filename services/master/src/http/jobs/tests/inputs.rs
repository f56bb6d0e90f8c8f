//! What is refused, and how.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::stack::{Answer, Master, Store, job};

#[tokio::test]
async fn wrong_submissions_are_problems_that_say_what_is_wrong() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let cases: [(Value, &str); 6] = [
        (json!({ "query": "" }), "query is empty"),
        (json!({ "query": "x".repeat(70_000) }), "query has 70000 bytes"),
        (json!({ "queries": "select 1" }), "queries"),
        (json!({ "kind": "python" }), "python"),
        (
            json!({ "tables": { "t": { "uri": "/etc/passwd" } } }),
            "must begin with file:///",
        ),
        (json!({ "tables": { "a b": { "uri": "file:///x" } } }), "table name \"a b\""),
    ];
    for (changes, expected) in cases {
        let answer = master.ask("POST", "/jobs", Some(job(changes))).await;
        assert!(answer.status.is_client_error(), "{expected}: {}", answer.status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(expected),
            "{}",
            answer.text()
        );
    }
    assert!(
        master.ask("GET", "/jobs", None).await.json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn malformed_requests_are_problems() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let post = |content_type: &'static str, body: &'static str| {
        let request = Request::post("/jobs")
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap();
        Answer::of(master.public.clone(), request)
    };
    assert_eq!(post("application/json", "{\"query\": ").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post("text/plain", "{}").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let absent = "00000000-0000-7000-8000-000000000000";
    let cases = [
        ("GET", format!("/jobs/{absent}"), 404),
        ("DELETE", format!("/jobs/{absent}"), 404),
        ("GET", format!("/jobs/{absent}/result"), 404),
        ("GET", format!("/jobs/{absent}/plan"), 404),
        ("GET", format!("/jobs/{absent}/events"), 404),
        ("GET", "/jobs/nonsense".to_owned(), 400),
        ("GET", format!("/jobs/{absent}/result?format=xml"), 400),
        ("GET", "/jobs?limit=0".to_owned(), 400),
        ("GET", "/jobs?state=lost".to_owned(), 400),
        ("GET", "/jobs?colour=red".to_owned(), 400),
        ("GET", "/jobs?label=red".to_owned(), 400),
        ("GET", "/jobs?since=yesterday".to_owned(), 400),
        ("GET", "/jobs?ns=a/b".to_owned(), 400),
        ("GET", format!("/jobs/{absent}/tasks"), 404),
        ("GET", format!("/jobs/{absent}/tasks?after=x"), 400),
        ("GET", format!("/jobs/{absent}/tasks?limit=1001"), 400),
        ("GET", format!("/jobs/{absent}/plan?format=png"), 400),
    ];
    for (method, path, status) in cases {
        let answer = master.ask(method, &path, None).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (status, &"application/problem+json".parse().unwrap()),
            "{path}"
        );
    }
    let queued = master.submit(json!({})).await;
    for path in ["result", "plan", "tasks"] {
        let early = master.ask("GET", &format!("/jobs/{queued}/{path}"), None).await;
        assert_eq!(early.status, StatusCode::CONFLICT, "{path}");
    }
    let waiting = master
        .ask_with("POST", "/jobs", &[("prefer", "wait=forever")], Some(job(json!({}))))
        .await;
    assert_eq!(waiting.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_job_or_a_conflict() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let submit = |key: &'static str, changes: Value| {
        let master = &master;
        async move {
            master
                .ask_with("POST", "/jobs", &[("idempotency-key", key)], Some(job(changes)))
                .await
        }
    };
    let (first, again) = tokio::join!(submit("k", json!({})), submit("k", json!({})));
    assert_eq!((first.status, again.status), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(submit("k", json!({ "priority": 1 })).await.status, StatusCode::CONFLICT);
    assert_ne!(submit("other", json!({})).await.json()["id"], first.json()["id"]);
    assert_eq!(submit("not ok", json!({})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        master.ask("GET", "/jobs", None).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn openapi_describes_every_endpoint_of_jobs() {
    let store = Store::open().await;
    let master = Master::leading(&store).await;
    let document = master.ask("GET", "/openapi.json", None).await.json();
    let described = |path: &str, method: &str| document["paths"][path][method].is_object();
    for (path, method) in [
        ("/jobs", "post"),
        ("/jobs", "get"),
        ("/jobs/{id}", "get"),
        ("/jobs/{id}", "delete"),
        ("/jobs/{id}/result", "get"),
        ("/jobs/{id}/plan", "get"),
        ("/jobs/{id}/events", "get"),
        ("/jobs/{id}/tasks", "get"),
    ] {
        assert!(described(path, method), "{method} {path}");
    }
}
