//! openraft's own tests of what it stores things in.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::raft::disk::OsDisk;
use crate::raft::log::{LogOptions, LogStore};
use crate::raft::machine::Machine;
use crate::raft::metrics::RaftMetrics;
use crate::raft::snapshot::SnapshotStore;
use crate::raft::types::TypeConfig;
use crate::state::HistoryLimits;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let metrics = RaftMetrics::new(None).unwrap();
        let (log_dir, snapshot_dir) = (dir.path().join("log"), dir.path().join("snapshots"));
        std::fs::create_dir(&log_dir).unwrap();
        std::fs::create_dir(&snapshot_dir).unwrap();
        let options = LogOptions {
            dir: log_dir,
            node_id: 0,
            segment_bytes: 4096,
            metrics: metrics.clone(),
        };
        let log = LogStore::open(Arc::new(OsDisk), options).unwrap();
        let limits = HistoryLimits {
            revisions: 100,
            bytes: 1 << 20,
        };
        let snapshots = SnapshotStore::open(Arc::new(OsDisk), snapshot_dir, limits).unwrap();
        let machine = Machine::open(snapshots, log.purged(), metrics).unwrap();
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn passes_the_storage_suite_of_openraft() {
    Suite::test_all(Builder).await.unwrap();
}
