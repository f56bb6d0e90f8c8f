//! What is behind the front door: routes that stay there, batches between nodes, and every node's metrics.

use std::time::Duration;

use api::ErrorCode;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use system_tests::{Sandbox, raw};

pub(super) async fn internal_routes_stay_inside(stack: &mut Sandbox) {
    let door = stack.address();
    for path in [
        "/internal",
        "/internal/",
        "/internal/v1/jobs/poll",
        "//internal/v1/jobs/poll",
        "/%69nternal/v1/jobs/poll",
        "/cache/../internal/v1/jobs/poll",
        "/cache/%2e%2e/internal/v1/jobs/poll",
        "/internal%2Fv1/jobs/poll",
        "/./internal/v1/jobs/poll",
    ] {
        for method in ["GET", "POST"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Cluster-Token: {}\r\nContent-Length: 0\r\n\r\n",
                stack.token
            );
            let answer = raw::exchange(&door, request.as_bytes(), Duration::from_secs(20))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(answer.refusal(), Ok((404, ErrorCode::NotFound)), "{method} {path}");
        }
    }
    let token = stack.token.clone();
    for node in stack.nodes() {
        let private = node.private();
        private
            .request("POST", "/internal/v1/nothing")
            .send()
            .await
            .problem(401, ErrorCode::Unauthenticated);
        let wrong = private
            .request("POST", "/internal/v1/nothing")
            .header("x-cluster-token", "guessed")
            .send()
            .await;
        wrong.problem(401, ErrorCode::Unauthenticated);
        let right = private
            .request("POST", "/internal/v1/nothing")
            .header("x-cluster-token", &token)
            .send()
            .await;
        right.problem(404, ErrorCode::NotFound);
    }
    stack
        .api()
        .request("POST", "/cluster/join")
        .send()
        .await
        .problem(401, ErrorCode::Unauthenticated);
    for master in &stack.masters {
        master
            .public()
            .get("/internal/v1/jobs/poll")
            .await
            .problem(404, ErrorCode::NotFound);
    }
}

/// Batches that came to the auxiliaries, and operations in them.
async fn at_auxiliaries(stack: &Sandbox) -> (f64, f64) {
    let (mut batches, mut operations) = (0.0, 0.0);
    for auxiliary in &stack.auxiliaries {
        let metrics = auxiliary.metrics().await;
        batches += metrics.sum("frame_calls_total", &["kind=\"batch\""]);
        operations += metrics.sum("cache_operations_total", &[]);
    }
    (batches, operations)
}

pub(super) async fn operations_travel_in_batches(stack: &Sandbox) {
    let before = at_auxiliaries(stack).await;
    let clients: FuturesUnordered<_> = (0..96)
        .map(|client| {
            let master = stack.masters[client % stack.masters.len()].public();
            async move {
                for i in 0..30 {
                    master.put(&format!("/cache/burst-{client}-{i}"), "v").await.expect(201);
                }
            }
        })
        .collect();
    clients.collect::<()>().await;
    let after = at_auxiliaries(stack).await;
    let (batches, operations) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(operations, 96.0 * 30.0, "each operation is executed once");
    assert!(
        batches > 0.0 && batches < operations * 0.75,
        "{operations} operations came in {batches} batches"
    );
}

pub(super) async fn every_service_has_its_metrics(stack: &mut Sandbox) {
    let common = [
        ("server_uptime_seconds", "gauge"),
        ("http_requests_total", "counter"),
        ("http_request_duration_seconds", "histogram"),
        ("http_requests_in_flight", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
    ];
    let cache = [
        ("cache_operations_total", "counter"),
        ("cache_request_duration_seconds", "histogram"),
    ];
    let leader = stack.leader(Duration::from_secs(15)).await;
    let leader = stack.masters[leader].name().to_owned();
    for node in stack.nodes() {
        let (metrics, name) = (node.metrics().await, node.name().to_owned());
        let mut expected = common.to_vec();
        match name.split('-').next() {
            Some("master") => expected.extend(
                cache
                    .iter()
                    .chain(&[("cluster_is_leader", "gauge"), ("cluster_ring_changes_total", "counter")]),
            ),
            Some("auxiliary") => expected.extend(cache.iter().chain(&[
                ("cache_size_current", "gauge"),
                ("frame_calls_total", "counter"),
                ("frame_call_duration_seconds", "histogram"),
            ])),
            _ => {}
        }
        for (family, kind) in expected {
            assert!(metrics.has(family, kind), "{name} has no {kind} {family}");
        }
        assert!(metrics.sum("server_uptime_seconds", &[]) > 0.0, "{name}");
        assert!(metrics.sum("http_requests_total", &[]) > 0.0, "{name}");
        if name.starts_with("auxiliary") {
            assert!(metrics.sum("cache_size_current", &[]) > 0.0, "{name} holds entries");
            assert!(
                metrics.sum("cache_operations_total", &["operation=\"get\"", "result=\"hit\""]) > 0.0,
                "{name} had hits"
            );
        }
        if name.starts_with("master") {
            assert_eq!(
                metrics.sum("cluster_is_leader", &[]),
                f64::from(u8::from(name == leader)),
                "{name}"
            );
        }
        // Labels are bounded: no key, id or raw path ever becomes one.
        let text = node.private().get("/metrics").await.text();
        for secret in ["user:1", "burst-", "nowhere", "/cache/brief"] {
            assert!(!text.contains(secret), "{name} has a label with {secret:?}");
        }
    }
}
