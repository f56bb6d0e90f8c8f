//! The built-in engine of one node.

use std::sync::Arc;
use std::time::Duration;

use control::raft::{RaftOptions, RaftStore};
use histories::target::{StoreTarget, Target};

use crate::{assert_linearizable, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_the_raft_engine_are_linearizable() {
    let directory = tempfile::tempdir().unwrap();
    let options = RaftOptions {
        // So that snapshots and the removal of the log behind them happen meanwhile.
        snapshot_entries: 100,
        segment_bytes: 64 * 1024,
        ..RaftOptions::new(directory.path(), "master-1")
    };
    let store = RaftStore::open(options).await.unwrap();
    let target: Arc<dyn Target> = Arc::new(StoreTarget::new("raft", store.clone()));
    let history = run("raft engine, one node", &[target], Duration::from_secs(5), async {}).await;
    assert_linearizable(&history);
    store.shutdown().await.unwrap();
}
