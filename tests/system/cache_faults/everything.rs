//! Everything ends at the same moment and is started again.

use std::time::Duration;

use api::ErrorCode;
use api::member::Role;
use system_tests::Sandbox;
use system_tests::workload::Window;

use super::{Fault, rounds};

/// Time between two backups of a node.
const BACKUP_INTERVAL: Duration = Duration::from_secs(2);
/// Time a backup may take: the interval counts from the beginning of one to the beginning of the next.
const BACKUP: Duration = Duration::from_millis(500);
const BACK: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_stack_killed_loses_at_most_one_backup_interval() {
    let interval = format!("{}s", BACKUP_INTERVAL.as_secs());
    let builder = Sandbox::raft().workers(0).set(Role::Auxiliary, "BACKUP_INTERVAL", interval);
    let mut stack = builder.start().await;
    let fault = Fault::begin("kill -9 of everything, restarted (BACKUP_INTERVAL 2 s)", &stack).await;
    let api = stack.api();
    for (path, value) in [("gone", "v"), ("short?ttl=6", "v"), ("long?ttl=600", "v")] {
        api.put(&format!("/cache/{path}"), value).await.expect(201);
    }
    // In a backup before it is deleted.
    fault.lasts(BACKUP_INTERVAL * 2).await;
    let until_expired = tokio::time::Instant::now() + Duration::from_secs(4);
    api.delete("/cache/gone").await.expect(204);
    fault.lasts(BACKUP_INTERVAL * 2).await;
    let before = stack.epoch().await;
    let crash = fault.now();
    for node in stack.nodes() {
        node.kill();
    }
    let from = crash.saturating_sub(BACKUP_INTERVAL + BACKUP);
    let crash = fault.now();
    restart(&mut stack, before).await;

    // Each node says what it began with, and how old that was.
    let seen = stack.masters[0].public().get("/nodes").await.expect(200).json();
    let nodes = seen["nodes"].as_array().unwrap();
    for auxiliary in nodes.iter().filter(|node| node["role"] == "auxiliary") {
        let restored = &auxiliary["cache"]["restored"];
        let limit = (BACKUP_INTERVAL * 3).as_secs();
        assert!(restored["entries"].as_u64() > Some(0), "{auxiliary}");
        assert!(restored["age_seconds"].as_u64() <= Some(limit), "{auxiliary}");
    }
    // Expired stays expired, deleted stays deleted; what lives keeps its time.
    tokio::time::sleep_until(until_expired).await;
    for path in ["/cache/gone", "/cache/short"] {
        api.get(path).await.problem(404, ErrorCode::NotFound);
    }
    let long = api.get("/cache/?key=long").await.expect(200).json();
    assert!(matches!(long["ttl"].as_u64(), Some(500..=598)), "{long}");
    fault.end_of_all(&mut stack, &[0, 1, 2], Some(Window { from, crash })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_stack_told_to_stop_loses_nothing() {
    // The only backup is the last one.
    let mut stack = Sandbox::raft()
        .workers(0)
        .set(Role::Auxiliary, "BACKUP_INTERVAL", "10m")
        .start()
        .await;
    let fault = Fault::begin("SIGTERM of everything, restarted", &stack).await;
    for _ in 0..rounds() {
        let before = stack.epoch().await;
        for node in stack.nodes() {
            node.process().signal("TERM");
        }
        for node in stack.nodes() {
            node.stop(Duration::from_secs(60)).await;
        }
        restart(&mut stack, before).await;
    }
    fault.end_of_all(&mut stack, &[0, 1, 2], None).await;
}

/// Starts what ended, and waits until a ring younger than `before` is stable.
async fn restart(stack: &mut Sandbox, before: u64) {
    for node in stack.nodes() {
        node.start();
    }
    for node in stack.nodes() {
        node.ready(BACK).await;
    }
    stack.settled(&[0, 1, 2], before, BACK).await;
}
