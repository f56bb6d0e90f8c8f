//! What is collected, and what is not.

use std::sync::Arc;
use std::time::Duration;

use api::JobId;
use api::job::{JobState, TableSpec};
use blobs::Content;
use jobs::{JobRecord, PartLocation};
use tokio::time::Instant;

use super::stack::Stack;
use crate::app::collector::{Collector, Seen};

const GRACE: Duration = Duration::from_secs(3600);

fn collector(stack: &Stack) -> Collector {
    Collector::new(
        Arc::clone(&stack.store.store),
        Arc::clone(&stack.blobs),
        GRACE,
        &telemetry::new_registry(),
    )
}

async fn write(stack: &Stack, record: &JobRecord) {
    let value = serde_json::to_vec(record).unwrap();
    stack
        .store
        .store
        .put(&format!("jobs/records/{}", record.id), value.into(), None)
        .await
        .unwrap();
}

fn job(state: JobState) -> JobRecord {
    let spec = serde_json::from_value(serde_json::json!({ "query": "select 1" })).unwrap();
    JobRecord {
        state,
        ..JobRecord::new(JobId::new_now(), spec, 0)
    }
}

/// Two rounds, a grace apart; what is left.
async fn collected(stack: &Stack) -> Vec<String> {
    let before = stack.blobs().await;
    let (collector, mut seen, now) = (collector(stack), Seen::new(), Instant::now());
    let first = collector.round(&mut seen, now).await.unwrap();
    assert_eq!(first.removed, 0, "nothing goes at once");
    collector
        .round(&mut seen, now + GRACE - Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(stack.blobs().await, before, "nothing goes before the grace is over");
    collector.round(&mut seen, now + GRACE).await.unwrap();
    stack.blobs().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_and_removed_files_go_after_the_grace() {
    let stack = Stack::start().await;
    stack.put("/datasets/x/a.csv", "n\n1\n").await.expect(201);
    stack.put("/datasets/x/a.csv", "n\n2\n").await.expect(200);
    stack.put("/datasets/y/a.csv", "n\n1\n").await.expect(201);
    stack.ask("DELETE", "/datasets/y").await.expect(204);
    assert_eq!(stack.blobs().await.len(), 3);
    assert_eq!(collected(&stack).await.len(), 1);
    assert_eq!(stack.get("/datasets/x/a.csv").await.text(), "n\n2\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_running_jobs_read_and_write_stays_until_they_end() {
    let stack = Stack::start().await;
    stack.put("/datasets/x/a.csv", "n\n1\n").await.expect(201);
    let planned = stack.app.datasets.plan_files("", "x").await.unwrap();
    stack.ask("DELETE", "/datasets/x").await.expect(204);
    let mut running = job(JobState::Running);
    let table = TableSpec {
        dataset: Some("x".to_owned()),
        ..TableSpec::default()
    };
    running.spec.tables.insert("t".to_owned(), table);
    write(&stack, &running).await;
    let ended = job(JobState::Succeeded);
    let kept = format!("results/{}/0-1.arrow", ended.id);
    let parts = vec![PartLocation::Blob {
        name: kept.clone(),
        bytes: 1,
        rows: 1,
    }];
    write(&stack, &JobRecord { parts, ..ended.clone() }).await;
    let of_running = format!("datasets/_/out/{}/0-0.parquet", running.id);
    let lost = [
        format!("results/{}/0-0.arrow", ended.id),
        "results/unknown/0-0.arrow".to_owned(),
        format!("datasets/_/out/{}/0-0.parquet", ended.id),
    ];
    for name in lost.iter().chain([&kept, &of_running]) {
        stack.blobs.put(name, Content::bytes("x")).await.unwrap();
    }
    stack.blobs.put("elsewhere/x", Content::bytes("x")).await.unwrap();

    let mut left = vec![
        planned.files[0].blob.clone(),
        kept.clone(),
        of_running.clone(),
        "elsewhere/x".to_owned(),
    ];
    left.sort();
    assert_eq!(collected(&stack).await, left);
    running.state = JobState::Failed;
    write(&stack, &running).await;
    assert_eq!(collected(&stack).await, ["elsewhere/x".to_owned(), kept]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_uploaded_is_spared_and_what_cannot_be_read_stops_the_round() {
    let stack = Stack::start().await;
    stack.blobs.put("datasets/_/x/v1/a.csv", Content::bytes("x")).await.unwrap();
    stack.blobs.put("datasets/_/x/v2/a.csv", Content::bytes("x")).await.unwrap();
    stack
        .store
        .store
        .put("blobs/intents/v1", "datasets/_/x/v1/a.csv".into(), None)
        .await
        .unwrap();
    stack.store.store.put("datasets/_/damaged", "{".into(), None).await.unwrap();
    let refused = collector(&stack).round(&mut Seen::new(), Instant::now()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("datasets/_/damaged")));
    let remove = control::Op::Delete {
        key: "datasets/_/damaged".to_owned(),
    };
    stack
        .store
        .store
        .txn(control::Txn {
            then: vec![remove],
            ..control::Txn::default()
        })
        .await
        .unwrap();
    assert_eq!(collected(&stack).await, ["datasets/_/x/v1/a.csv"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_that_leads_collects_by_itself() {
    let stack = Stack::start().await;
    stack.put("/datasets/x/a.csv", "n\n1\n").await.expect(201);
    stack.ask("DELETE", "/datasets/x").await.expect(204);
    let hasty = Collector::new(
        Arc::clone(&stack.store.store),
        Arc::clone(&stack.blobs),
        Duration::from_millis(400),
        &stack.registry,
    );
    let (hasty, leading) = (Arc::new(hasty), stack.leading.clone());
    stack.tasks.supervise("collector", move |stop| {
        let (hasty, leading) = (Arc::clone(&hasty), leading.clone());
        async move { hasty.run(leading, stop).await }
    });
    super::stack::eventually(|| async { stack.blobs().await.is_empty() }).await;
    assert!(telemetry::render(&stack.registry).contains("blob_collected_total 1"));
}
