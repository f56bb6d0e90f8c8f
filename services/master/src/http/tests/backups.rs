//! Backups and restores.

use std::time::Duration;

use api::member::Phase;
use api::operations::ASKED_BACKUP;
use cluster::{LeaderState, Token};
use lifecycle::CancellationToken;
use serde_json::{Value, json};
use telemetry::audit::Audit;
use tokio::sync::watch;

use super::eventually;
use super::stack::Stack;
use crate::app::audit::Auditor;

#[tokio::test]
async fn backup_is_one_round_under_one_id() {
    let stack = Stack::start(3, 2).await;
    let report = stack.ask("POST", "/backup").await.expect(200).json();
    assert_eq!(
        (&report["complete"], &report["entries"], &report["bytes"]),
        (&json!(true), &json!(9), &json!(300))
    );
    let names: Vec<_> = report["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["node"].clone())
        .collect();
    assert_eq!(names, ["auxiliary-1", "auxiliary-2", "auxiliary-3"]);
    for node in &stack.nodes {
        assert_eq!(node.asked("backup"), [json!({ "id": report["id"] })]);
    }
    assert!(
        report["id"].as_str().unwrap().starts_with(ASKED_BACKUP),
        "kept apart from periodic ones: {report}"
    );
    let listing = stack.get("/backups").await.expect(200).json();
    assert_eq!(
        (&listing["items"][0]["id"], &listing["items"][0]["entries"]),
        (&report["id"], &json!(9))
    );
    assert_eq!(listing["items"][0]["nodes"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn node_that_fails_is_said_and_the_others_stand() {
    let stack = Stack::start(2, 2).await;
    stack.nodes[1].fail(true);
    let report = stack.ask("POST", "/backup").await.expect(200).json();
    assert_eq!((&report["complete"], &report["entries"]), (&json!(false), &json!(3)));
    assert!(report["nodes"][0]["error"].is_null(), "{report}");
    assert!(
        report["nodes"][1]["error"].as_str().unwrap().contains("no space left"),
        "{report}"
    );
    let listing = stack.get("/backups").await.expect(200).json();
    assert_eq!(listing["unanswered"][0]["node"], "auxiliary-2");
}

#[tokio::test]
async fn merge_restores_without_clearing() {
    let stack = Stack::start(2, 2).await;
    stack.nodes[0].has_backup("older");
    stack.nodes[1].has_backup("older");
    stack.nodes[1].has_backup("newer");
    stack.put_value("/cache/k", "v").await.expect(201);
    let report = stack.ask("POST", "/restore?mode=merge").await.expect(200).json();
    assert_eq!(
        (&report["complete"], &report["mode"], &report["entries"]),
        (&json!(true), &json!("merge"), &json!(6))
    );
    let restored: Vec<&Value> = report["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["backup"])
        .collect();
    assert_eq!(restored, ["older", "newer"], "each node its newest");
    assert!(report["nodes"][0]["cleared"].is_null(), "{report}");
    let report = stack.ask("POST", "/restore?mode=merge&id=newer").await.expect(200).json();
    assert_eq!(
        (&report["nodes"][0]["backup"], &report["nodes"][1]["backup"]),
        (&Value::Null, &json!("newer"))
    );
    stack.get("/cache/k").await.expect(200);
}

#[tokio::test]
async fn replace_clears_everybody_first() {
    let stack = Stack::start(2, 2).await;
    stack.nodes[0].has_backup("b");
    stack.put_value("/cache/k", "v").await.expect(201);
    let report = stack.ask("POST", "/restore?mode=replace&id=b").await.expect(200).json();
    assert_eq!((&report["complete"], &report["entries"]), (&json!(true), &json!(3)));
    assert_eq!(
        (&report["nodes"][0]["cleared"], &report["nodes"][1]["cleared"]),
        (&json!(1), &json!(1))
    );
    stack.get("/cache/k").await.expect(404);
    assert_eq!(stack.nodes[0].asked("clear"), stack.nodes[1].asked("clear"), "one stamp");
    stack.put_value("/cache/k", "after").await.expect(201);
}

#[tokio::test]
async fn replace_is_not_begun_when_something_is_missing() {
    let stack = Stack::start(2, 2).await;
    let untouched = || stack.nodes.iter().all(|node| node.asked("clear").is_empty());
    stack
        .ask("POST", "/restore?mode=replace")
        .await
        .problem(404, "not_found", "no node");
    stack.nodes[0].has_backup("b");
    stack
        .ask("POST", "/restore?mode=replace&id=c")
        .await
        .problem(404, "not_found", "GET /backups");
    stack.nodes[1].fail(true);
    let silent = stack.ask("POST", "/restore?mode=replace&id=b").await;
    silent.problem(503, "unavailable", "auxiliary-2");
    stack.nodes[1].fail(false);
    let all: Vec<_> = stack.nodes.iter().map(|node| node.ring_member()).collect();
    stack.write_ring(2, Phase::Moving, 2, all.clone(), Some(all)).await;
    let moving = stack.ask("POST", "/restore?mode=replace&id=b").await;
    moving.problem(409, "conflict", "the ring is changing");
    assert!(untouched());
}

#[tokio::test]
async fn restore_wants_a_mode_and_a_proper_id() {
    let stack = Stack::start(1, 1).await;
    for (query, said) in [
        ("", "mode=merge"),
        ("?mode=", "mode=merge"),
        ("?mode=overwrite", "mode=merge"),
        ("?mode=merge&id=", "id of a backup"),
        ("?mode=merge&id=..%2Fx", "id of a backup"),
        ("?mode=merge&bogus=1", "unknown field"),
    ] {
        let refused = stack.ask("POST", &format!("/restore{query}")).await;
        refused.problem(400, "invalid_argument", said);
    }
}

#[tokio::test]
async fn empty_ring_has_nothing_to_back_up() {
    let stack = Stack::start(0, 2).await;
    stack.ask("POST", "/backup").await.problem(503, "unavailable", "no auxiliary");
    stack
        .ask("POST", "/restore?mode=merge")
        .await
        .problem(503, "unavailable", "no auxiliary");
}

#[tokio::test]
async fn only_the_leader_makes_rounds() {
    let stack = Stack::start(1, 1).await;
    let (leadership, led) = watch::channel(LeaderState::Following { leader: None });
    let (backups, stop) = (stack.app.backups.clone(), CancellationToken::new());
    let (stopped, directory) = (stop.clone(), tempfile::tempdir().unwrap());
    let log = directory.path().join("audit.log");
    let audit = Audit::open(log.to_str().unwrap(), "master-1", &telemetry::new_registry()).unwrap();
    let auditor = Auditor::new(audit, "master-1");
    let rounds = tokio::spawn(async move {
        backups.run(led, Duration::from_millis(20), &auditor, stopped).await;
        auditor.close();
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(stack.nodes[0].asked("backup").is_empty(), "nobody leads");
    leadership.send_replace(LeaderState::Leading(Token {
        cluster: "c".to_owned(),
        revision: 1,
    }));
    eventually(|| async { stack.nodes[0].asked("backup").len() >= 2 }).await;
    stop.cancel();
    rounds.await.unwrap();
    let audited = std::fs::read_to_string(&log).unwrap();
    assert!(audited.contains("\"backup\""), "{audited}");
}
