//! What all commands share: addresses, time limits, exit codes, help.

use std::time::Duration;

use serde_json::json;

use crate::fake::{Fake, Reply, nobody};
use crate::program::run;

#[tokio::test]
async fn next_address_is_tried_when_one_cannot_be_reached() {
    let fake = Fake::always(Reply::new(200, "value")).await;
    let ended = run(&format!("{},{}", nobody().await, fake.endpoint), &["cache", "get", "k", "-v"]).await;
    assert_eq!((ended.code, ended.text()), (0, "value"));
    assert!(
        ended.stderr.contains("refused") && ended.stderr.contains("X-Request-Id: the-request-id"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn next_address_is_tried_when_one_did_not_execute_but_not_when_the_outcome_is_unknown() {
    let busy = Fake::always(Reply::problem(503, "unavailable", "try again")).await;
    let late = Fake::always(Reply::problem(504, "timeout", "outcome unknown")).await;
    let good = Fake::always(Reply::new(200, "").header("etag", "\"1\"")).await;
    let ended = run(&format!("{},{}", busy.endpoint, good.endpoint), &["kv", "set", "k", "v"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let ended = run(&format!("{},{}", late.endpoint, good.endpoint), &["kv", "set", "k", "v"]).await;
    assert_eq!((ended.code, good.asked().len()), (5, 1));
}

#[tokio::test]
async fn nobody_there_is_exit_code_5_and_says_what_to_do() {
    let ended = run(&nobody().await, &["nodes"]).await;
    assert_eq!(ended.code, 5);
    assert!(
        ended.stderr.contains("elasticore up") && ended.stderr.lines().count() == 1,
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn silence_is_exit_code_5() {
    let fake = Fake::always(Reply::new(200, "late").after(Duration::from_secs(30))).await;
    let ended = run(&fake.endpoint, &["cache", "get", "k", "--timeout", "200ms"]).await;
    assert_eq!(ended.code, 5);
    assert!(ended.stderr.contains("200ms"), "{}", ended.stderr);
}

#[tokio::test]
async fn status_of_the_api_decides_the_exit_code() {
    for (status, code, exit) in [
        (400, "invalid_argument", 2),
        (403, "forbidden", 1),
        (409, "conflict", 4),
        (413, "too_large", 2),
        (429, "rate_limited", 5),
        (500, "internal", 1),
    ] {
        let fake = Fake::always(Reply::problem(status, code, "why")).await;
        let ended = run(&fake.endpoint, &["kv", "get", "k"]).await;
        assert_eq!(ended.code, exit, "{code}");
        assert!(
            ended.stderr.contains("why") && ended.stderr.contains(code),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn answers_of_something_else_are_told_from_the_api() {
    let proxy = Fake::always(Reply::new(502, "<html><h1>502 Bad\nGateway</h1></html>")).await;
    let ended = run(&proxy.endpoint, &["kv", "get", "k"]).await;
    assert_eq!(ended.code, 5);
    assert!(
        ended.stderr.contains("502") && ended.stderr.lines().count() == 1,
        "{}",
        ended.stderr
    );
    let website = Fake::always(Reply::new(200, "<html>hello</html>")).await;
    let ended = run(&website.endpoint, &["nodes"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("right address"), "{}", ended.stderr);
}

#[tokio::test]
async fn usage_errors_are_exit_code_2_and_help_names_all_codes() {
    let wrong = run("http://h:1", &["kv", "set", "k"]).await;
    assert_eq!((wrong.code, wrong.text()), (2, ""));
    let help = run("http://h:1", &["--help"]).await;
    assert!(
        help.code == 0 && help.text().contains("Exit codes:") && help.text().contains("ELASTICORE_ENDPOINT"),
        "{}",
        help.text()
    );
}

#[tokio::test]
async fn version_is_that_of_the_package() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        run("http://h:1", &["--version"]).await.text(),
        format!("elasticore {version}\n")
    );
    assert_eq!(
        run("http://h:1", &["version"]).await.text(),
        format!("elasticore {version}\n")
    );
    assert_eq!(
        run("http://h:1", &["version", "--output", "json"]).await.text(),
        format!("{{\"version\":\"{version}\"}}\n")
    );
}

#[tokio::test]
async fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run("http://h:1", &["completions", shell]).await;
        assert!(
            ended.code == 0 && ended.text().contains("jobs") && ended.text().contains("if-revision"),
            "{shell}"
        );
    }
}

#[tokio::test]
async fn nodes_and_ring_are_tables() {
    let member = |id: &str, role: &str| {
        json!({ "id": id, "role": role, "boot_id": "6b3cbe4c-3b6f-4c80-a1c6-6f2a5a3a8f10", "address": "127.0.0.1:9000",
            "public_address": "127.0.0.1:8081", "weight": 1, "started_at_ms": 0, "version": "0.1.0", "leader": role == "master", "share": null })
    };
    let nodes = Fake::always(Reply::json(
        200,
        json!({ "leader": "master-1", "nodes": [member("worker-1", "worker"), member("master-1", "master")] }),
    ))
    .await;
    let ended = run(&nodes.endpoint, &["nodes"]).await;
    let lines: Vec<&str> = ended.text().lines().collect();
    assert!(
        lines[1].starts_with("master-1\tmaster, leader\t") && lines[2].starts_with("worker-1\tworker\t"),
        "{lines:?}"
    );
    let ring = json!({ "key": "k", "epoch": 3, "phase": "moving", "owners": [
        { "node": "auxiliary-1", "address": "127.0.0.1:3001" }, { "node": "auxiliary-2", "address": null }] });
    let ring = Fake::always(Reply::json(200, ring)).await;
    let ended = run(&ring.endpoint, &["ring", "--key", "k"]).await;
    assert_eq!(
        ended.text(),
        "KEY\tOWNER\tPART\tADDRESS\tEPOCH\tPHASE\nk\tauxiliary-1\tprimary\t127.0.0.1:3001\t3\tmoving\nk\tauxiliary-2\tcopy\t\t3\tmoving\n"
    );
    assert_eq!(ring.only().line(), "GET /ring?key=k");
}
