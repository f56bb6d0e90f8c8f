//! What an auxiliary does, without requests and status codes.

pub(crate) mod backups;
mod frames;

use std::sync::Arc;

use api::BootId;
use api::cache::NodeStatus;
use cache::owner::Owner;
use cluster::Reach;
use prometheus::{IntCounterVec, Registry};
use store::blob::BlobStore;
use telemetry::Metrics;

use backups::Backups;
pub(crate) use frames::{Frames, refusal};

/// Everything handlers work on.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) owner: Arc<Owner>,
    pub(crate) backups: Arc<Backups>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) blobs: BlobStore,
    pub(crate) boot_id: BootId,
    pub(crate) stop: lifecycle::CancellationToken,
    pub(crate) blob_operations: IntCounterVec,
}

/// Counts operations on blobs.
pub(crate) fn blob_operations(registry: &Registry) -> IntCounterVec {
    let help = "Operations on blobs, by how they began to be answered.";
    Metrics::new(registry).counters("blob_operations_total", help, &["operation", "result"])
}

impl App {
    /// What this node says of itself.
    pub(crate) fn status(&self) -> NodeStatus {
        let stats = self.owner.store().stats();
        NodeStatus {
            boot_id: self.boot_id,
            epoch: self.owner.epoch(),
            synced: self.owner.is_synced(),
            entries: stats.entries as u64,
            bytes: stats.bytes as u64,
            sync: self.owner.progress(),
            restored: self.backups.restored(),
            last_backup_ms: self.backups.last_ms(),
            unreachable: self.reach.unreachable(),
        }
    }
}
