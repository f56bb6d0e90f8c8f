//! What an auxiliary does, without requests and status codes.

pub(crate) mod backups;
pub(crate) mod blobs;
mod frames;

use std::sync::Arc;

use api::BootId;
use api::cache::NodeStatus;
use cache::owner::Owner;
use cluster::Reach;

use backups::Backups;
use blobs::Blobs;
pub(crate) use frames::{Frames, refusal};

/// Everything handlers work on.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) owner: Arc<Owner>,
    pub(crate) backups: Arc<Backups>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) boot_id: BootId,
    pub(crate) stop: lifecycle::CancellationToken,
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
