//! Nothing a client sends breaks anything: each wrong request gets the right problem, and what was there stays there.

mod cases;
mod connections;

use std::time::{Duration, Instant};

use api::member::Role;
use system_tests::{Api, Node, Sandbox, eventually, raw};

use cases::{Case, Expected, cases};

/// Largest value, small enough for a value in a URL to be over it.
const MAX_VALUE_BYTES: usize = 4096;
/// Longest answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// Wrong requests sent to see whether any leaves something behind.
const MANY: usize = 1000;
/// Growth of memory over [`MANY`] wrong requests that is the allocator's, not a leak of ours.
const MEMORY_SLACK: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_the_right_problem_and_leave_nothing_behind() {
    let mut stack = stack().await;
    let api = stack.api();
    api.put("/cache/precious", "kept").await.expect(201);
    api.put("/kv/precious", "kept").await.expect(201);
    api.put("/cache/text", "no number").await.expect(201);
    api.put("/cache/largest", i64::MAX.to_string()).await.expect(201);
    api.put("/cache/least", i64::MIN.to_string()).await.expect(201);

    let (master, door) = (stack.masters[0].public_address(), stack.address());
    let mut wrong = Vec::new();
    for case in cases() {
        for (address, expected) in [(&master, case.expected), (&door, case.through_nginx)] {
            if let Some(reason) = refute(&case, address, expected).await {
                let place = if *address == door { "through NGINX" } else { "at the master" };
                wrong.push(format!("{} ({place}): {reason}", case.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        cases().len(),
        wrong.join("\n")
    );

    // Once through, everything that is made once has been made. What grows from here on leaks.
    let before = usage(&mut stack);
    let requests: Vec<Case> = cases();
    for case in requests.iter().cycle().take(MANY) {
        raw::exchange(&master, &case.request, REQUEST_TIMEOUT * 2).await.ok();
    }
    eventually(
        "connections of the wrong requests to be closed",
        Duration::from_secs(20),
        || {
            let after = usage(&mut stack);
            let grown: Vec<_> = before
                .iter()
                .zip(&after)
                .filter(|(before, after)| after.files > before.files + 16)
                .map(|(b, a)| format!("{b:?} → {a:?}"))
                .collect();
            async move { if grown.is_empty() { Ok(()) } else { Err(grown.join(", ")) } }
        },
    )
    .await;
    for (before, after) in before.iter().zip(usage(&mut stack)) {
        assert!(after.memory < before.memory + MEMORY_SLACK, "{before:?} → {after:?}");
    }

    for path in ["/cache/precious", "/kv/precious"] {
        assert_eq!(api.get(path).await.expect(200).text(), "kept");
    }
    for (key, value) in [
        ("text", "no number".to_owned()),
        ("largest", i64::MAX.to_string()),
        ("least", i64::MIN.to_string()),
    ] {
        assert_eq!(api.get(&format!("/cache/{key}")).await.expect(200).text(), value);
    }
    assert_eq!(stack.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_and_slow_connections_are_answered_or_closed() {
    let mut stack = stack().await;
    let (master, door) = (stack.masters[0].public_address(), stack.address());
    tokio::join!(
        connections::slow_headers_are_cut_off(&door),
        connections::slow_bodies_meet_the_deadline(&master),
        connections::half_sent_bodies_change_nothing(&master),
        connections::garbage_is_refused(&master),
        connections::garbage_is_refused(&door),
        connections::old_and_chunked_requests_are_served(&master),
        connections::old_and_chunked_requests_are_served(&door),
        connections::pipelined_requests_are_answered_in_order(&master),
        connections::pipelined_requests_are_answered_in_order(&door),
        connections::silent_connections_hinder_nobody(&master),
    );
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn stack() -> Sandbox {
    let builder = Sandbox::raft().auxiliaries(1).workers(1).nginx();
    let builder = builder.set(Role::Master, "MAX_VALUE_BYTES", MAX_VALUE_BYTES);
    builder
        .set(Role::Master, "REQUEST_TIMEOUT", format!("{}s", REQUEST_TIMEOUT.as_secs()))
        .start()
        .await
}

/// Why an answer is not what it should be.
async fn refute(case: &Case, address: &str, expected: Expected) -> Option<String> {
    let started = Instant::now();
    let answer = match raw::exchange(address, &case.request, Duration::from_secs(30)).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Some("closed without an answer".to_owned()),
        Err(reason) => return Some(reason),
    };
    if started.elapsed() > REQUEST_TIMEOUT + Duration::from_secs(2) {
        return Some(format!("it took {:?}", started.elapsed()));
    }
    match (expected, answer.refusal()) {
        (Expected::Problem(status, code), Ok(refusal)) if refusal == (status, code) => {
            // RFC 9110, 15.5.6: a 405 says which methods there are.
            (status == 405 && answer.header("allow").is_empty()).then(|| "405 without Allow".to_owned())
        }
        (Expected::Status(status), _) if answer.status == status => None,
        (_, Ok((status, code))) => Some(format!(
            "{status} {code:?}, expected {expected:?}: {}",
            answer.problem().map_or_else(|e| e, |p| p.detail)
        )),
        (_, Err(reason)) => Some(format!("{reason}, expected {expected:?}")),
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Usage {
    files: usize,
    memory: u64,
}

fn usage(stack: &mut Sandbox) -> Vec<Usage> {
    stack.nodes().map(usage_of).collect()
}

fn usage_of(node: &mut Node) -> Usage {
    let process = format!("/proc/{}", node.process().id());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Usage {
        files: std::fs::read_dir(format!("{process}/fd")).unwrap().count(),
        memory: resident.unwrap() * 1024,
    }
}

/// Deeply nested SQL must not overflow the worker's stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wild_sql_fails_its_job_and_never_the_worker() {
    let mut stack = stack().await;
    let api = stack.api();
    let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
    let added = |terms: usize| format!("SELECT 1{}", " + 1".repeat(terms));
    let unions = |parts: usize| format!("SELECT 1 AS x{}", " UNION ALL SELECT 1".repeat(parts));
    let subqueries = |depth: usize| format!("{}SELECT 1{}", "SELECT * FROM (".repeat(depth), ")".repeat(depth));
    for query in [nested(300), nested(20_000), added(20_000), unions(2_000), subqueries(500)] {
        refused_or_failed(&api, &query).await;
    }
    let worker = stack.workers[0].process();
    assert!(worker.ended().is_none(), "the worker died");
    let answer = api
        .request("POST", "/jobs")
        .header("prefer", "wait=3")
        .json(&serde_json::json!({ "query": "SELECT 1 AS one" }))
        .send()
        .await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(api.finished(&id, Duration::from_secs(60)).await["state"], "succeeded");
    assert_eq!(stack.panics(), Vec::<String>::new());
}

async fn refused_or_failed(api: &Api, query: &str) {
    let shown: String = query.chars().take(30).collect();
    let answer = api.post("/jobs", &serde_json::json!({ "query": query })).await;
    if answer.status == 202 {
        let job = api
            .finished(answer.json()["id"].as_str().unwrap(), Duration::from_secs(60))
            .await;
        let error = &job["error"];
        let fine = job["state"] == "succeeded" || error["status"].as_u64().is_some_and(|status| (400..500).contains(&status));
        assert!(fine, "{shown}…: {error}");
    } else {
        assert!(
            (400..500).contains(&answer.status) && answer.json()["code"].is_string(),
            "{shown}…: {answer}"
        );
    }
}
