//! `elasticore jobs`.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Asked, Fake, Reply};
use crate::program::{command, end, run, run_with};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const ROWS: &str =
    "{\"name\":\"a\\tb\",\"total\":55909065222.827692,\"none\":null}\n{\"name\":\"c\",\"total\":1.10,\"none\":\"x\"}\n";

fn job(state: &str) -> Value {
    let mut job = json!({ "id": ID, "state": state, "query": "select 1", "submitted_at_ms": 1000,
        "progress": { "stages": { "done": 1, "total": 2 }, "tasks": { "done": 3, "total": 4 }, "rows": 10, "bytes": 20, "retries": 0 } });
    if state == "succeeded" {
        job["finished_at_ms"] = json!(2500);
        let column = |name: &str, data_type: &str| json!({ "name": name, "type": data_type, "nullable": true });
        job["result"] = json!({ "rows": 2, "bytes": 9, "columns": [column("name", "Utf8"), column("total", "Decimal128(38, 6)"), column("none", "Utf8")] });
    }
    if state == "failed" {
        job["error"] = json!({ "type": "/problems/invalid_argument", "title": "t", "status": 400, "detail": "no column x", "code": "invalid_argument" });
    }
    job
}

/// A job that is accepted, runs for two questions, and ends in `end`.
async fn cluster(end: &'static str) -> Fake {
    let questions = AtomicU32::new(0);
    Fake::new(move |asked: &Asked| match asked.line().as_str() {
        "POST /jobs" => Reply::json(202, job("queued")),
        line if line.contains("/result?format=") => Reply::new(200, ROWS),
        _ if questions.fetch_add(1, Ordering::SeqCst) < 2 => Reply::json(200, job("running")),
        _ => Reply::json(200, job(end)),
    })
    .await
}

#[tokio::test]
async fn submit_sends_the_query_and_prints_the_id() {
    let fake = cluster("succeeded").await;
    let directory = tempfile::tempdir().unwrap();
    let child = command(
        &fake.endpoint,
        &[
            "jobs",
            "submit",
            "-f",
            "-",
            "-t",
            "o=data/o.csv",
            "-t",
            "p=/d/p:parquet",
            "--label",
            "a=b",
            "--idempotency-key",
            "once",
        ],
    )
    .current_dir(directory.path())
    .stdin(std::process::Stdio::piped())
    .spawn();
    let mut child = child.unwrap();
    child.stdin.take().unwrap().write_all(b"select * from o\n").await.unwrap();
    let ended = end(child).await;
    assert_eq!(
        (ended.code, ended.text()),
        (0, format!("{ID}\n").as_str()),
        "{}",
        ended.stderr
    );
    let (asked, here) = (fake.only(), directory.path().canonicalize().unwrap());
    let spec = asked.json();
    assert_eq!(spec["query"], "select * from o");
    assert_eq!(spec["tables"]["o"]["uri"], format!("file://{}/data/o.csv", here.display()));
    assert_eq!(
        (&spec["tables"]["p"]["uri"], &spec["tables"]["p"]["format"]),
        (&json!("file:///d/p"), &json!("parquet"))
    );
    assert_eq!(
        (&spec["labels"]["a"], asked.header("idempotency-key")),
        (&json!("b"), Some("once"))
    );
}

#[tokio::test]
async fn submit_and_wait_prints_the_rows_digit_for_digit() {
    let fake = cluster("succeeded").await;
    let ended = run_with(&fake.endpoint, &["jobs", "submit", "--wait"], b"select 1").await;
    let expected = "name\ttotal\tnone\na\\tb\t55909065222.827692\t\nc\t1.10\tx\n";
    assert_eq!((ended.code, ended.text()), (0, expected), "{}", ended.stderr);
    assert_eq!(
        fake.asked().last().unwrap().line(),
        format!("GET /jobs/{ID}/result?format=ndjson")
    );
}

#[tokio::test]
async fn output_json_is_the_apis_own() {
    let fake = cluster("succeeded").await;
    let submitted = run(&fake.endpoint, &["jobs", "submit", "select 1", "--output", "json"]).await;
    assert_eq!(submitted.text(), format!("{}\n", job("queued")));
    let waited = run(&fake.endpoint, &["jobs", "submit", "select 1", "--wait", "--output", "json"]).await;
    assert_eq!(waited.text(), ROWS);
    assert_eq!(
        fake.asked().last().unwrap().line(),
        format!("GET /jobs/{ID}/result?format=json")
    );
    let watched = run(&fake.endpoint, &["jobs", "watch", ID, "--output", "json"]).await;
    assert_eq!(
        (watched.code, watched.text()),
        (0, format!("{}\n", job("succeeded")).as_str())
    );
}

#[tokio::test]
async fn result_goes_to_a_file_in_the_format_of_its_extension() {
    let fake = cluster("succeeded").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows.parquet");
    let ended = run(&fake.endpoint, &["jobs", "submit", "select 1", "-o", file.to_str().unwrap()]).await;
    assert_eq!((ended.code, ended.text()), (0, ""), "{}", ended.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), ROWS.as_bytes());
    assert_eq!(
        fake.asked().last().unwrap().line(),
        format!("GET /jobs/{ID}/result?format=parquet")
    );
    let unknown = run(&fake.endpoint, &["jobs", "result", ID, "-o", "rows.txt"]).await;
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[tokio::test]
async fn jobs_that_do_not_succeed_are_exit_code_6() {
    let fake = cluster("failed").await;
    let ended = run(&fake.endpoint, &["jobs", "submit", "select x", "--wait"]).await;
    assert_eq!((ended.code, ended.text()), (6, ""));
    assert_eq!(ended.stderr, format!("elasticore: job {ID} failed: no column x\n"));
    assert_eq!(run(&fake.endpoint, &["jobs", "result", ID]).await.code, 6);
    assert_eq!(
        run(&fake.endpoint, &["jobs", "status", ID]).await.code,
        0,
        "asking is no failure"
    );
    let fake = cluster("cancelled").await;
    let ended = run(&fake.endpoint, &["jobs", "watch", ID]).await;
    assert!(ended.code == 6 && ended.stderr.contains("was cancelled"), "{}", ended.stderr);
}

#[tokio::test]
async fn cluster_that_is_away_for_a_moment_does_not_end_the_waiting() {
    let questions = AtomicU32::new(0);
    let fake = Fake::new(move |asked: &Asked| match asked.line().as_str() {
        "POST /jobs" => Reply::json(202, job("queued")),
        line if line.contains("/result") => Reply::new(200, ROWS),
        _ if questions.fetch_add(1, Ordering::SeqCst) < 3 => Reply::problem(503, "unavailable", "no leader"),
        _ => Reply::json(200, job("succeeded")),
    })
    .await;
    assert_eq!(run(&fake.endpoint, &["jobs", "submit", "select 1", "--wait"]).await.code, 0);
    let gone = Fake::always(Reply::problem(503, "unavailable", "no leader")).await;
    assert_eq!(
        run(&gone.endpoint, &["jobs", "watch", ID, "--timeout", "300ms"]).await.code,
        5
    );
}

#[tokio::test]
async fn interrupted_waiting_says_how_to_find_the_job_again() {
    let fake = Fake::new(|asked: &Asked| Reply::json(if asked.line() == "POST /jobs" { 202 } else { 200 }, job("running"))).await;
    let mut child = command(&fake.endpoint, &["jobs", "submit", "select 1", "--wait"])
        .spawn()
        .unwrap();
    while fake.asked().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let pid = child.id().unwrap().to_string();
    assert!(
        tokio::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert!(message.contains(&format!("elasticore jobs watch {ID}")), "{message}");
}

#[tokio::test]
async fn list_status_and_cancel() {
    let fake = Fake::new(
        |asked: &Asked| match (asked.method.as_str(), asked.target.split('?').next().unwrap()) {
            ("GET", "/jobs") => Reply::json(200, json!({ "items": [job("succeeded"), job("running")], "next": ID })),
            ("DELETE", _) => Reply::json(202, job("cancelled")),
            _ => Reply::json(200, job("succeeded")),
        },
    )
    .await;
    let list = run(&fake.endpoint, &["jobs", "list", "--limit", "2"]).await;
    let lines: Vec<&str> = list.text().lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with(&format!("{ID}\tsucceeded\t")) && lines[1].ends_with("\t1s 500ms\t3/4\t2\tselect 1"),
        "{}",
        lines[1]
    );
    let status = run(&fake.endpoint, &["jobs", "status", ID]).await;
    assert!(
        status.text().contains("state\tsucceeded\n") && status.text().contains("tasks 3/4"),
        "{}",
        status.text()
    );
    let cancelled = run(&fake.endpoint, &["jobs", "cancel", ID]).await;
    assert_eq!((cancelled.code, cancelled.text()), (0, format!("cancelled {ID}\n").as_str()));
}
