//! What stands around an engine: figures, and the choice of it.

use control::raft::RaftOptions;
use control::{Consistency, ControlSettings, ControlStore, Instrumented, LeaseId, connect};

#[tokio::test]
async fn calls_are_counted_by_operation_and_result() {
    let directory = tempfile::tempdir().unwrap();
    let settings = ControlSettings::Raft(Box::new(RaftOptions::new(directory.path(), "m1")));
    let registry = prometheus::Registry::new();
    let store = Instrumented::new(connect(settings).await.unwrap(), &registry);
    store.put("key", "value".into(), None).await.unwrap();
    store.get("key", Consistency::Linearizable).await.unwrap();
    store.keep_alive(LeaseId(99)).await.unwrap_err();
    let text = telemetry::render(&registry);
    for line in [
        "control_store_requests_total{operation=\"txn\",result=\"ok\"} 1",
        "control_store_requests_total{operation=\"get\",result=\"ok\"} 1",
        "control_store_requests_total{operation=\"keep_alive\",result=\"lease_not_found\"} 1",
        "control_store_request_duration_seconds_count{operation=\"txn\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
