//! What nodes say of themselves, and what is set for namespaces. JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BootId, Epoch, NodeId};

/// How much a namespace may take, over the whole cluster, copies not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceQuota {
    /// Entries; no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u64>,
    /// Bytes with keys and bookkeeping; no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// What an auxiliary says of itself to the leader and to masters (`GET /internal/v1/cache/status`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its life.
    pub boot_id: BootId,
    /// The epoch it serves.
    pub epoch: Epoch,
    /// Whether it holds all it must hold at that epoch.
    pub synced: bool,
    /// Entries held.
    pub entries: u64,
    /// Memory they take, bookkeeping included.
    pub bytes: u64,
    /// Progress of the last range sync, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncProgress>,
    /// What it began with, if it found a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The newest backup it made or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_ms: Option<u64>,
    /// Auxiliaries it cannot reach.
    pub unreachable: Vec<NodeId>,
}

/// What a master says of itself to the others (`GET /internal/v1/cluster/status`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MasterStatus {
    /// The epoch it routes by.
    pub epoch: Epoch,
    /// Auxiliaries it cannot reach.
    pub unreachable: Vec<NodeId>,
    /// If it leads, workers that get no tasks for a while: tasks fail on them that succeed elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers_left_out: Vec<NodeId>,
}

/// How far a range sync has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SyncProgress {
    /// Epoch it works for.
    pub epoch: Epoch,
    /// Buckets compared and made equal.
    pub buckets_done: u64,
    /// Buckets there are, over all sources.
    pub buckets: u64,
    /// Entries that were fetched.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that were dropped because the source does not have them.
    pub dropped: u64,
    /// When it began, in Unix milliseconds.
    pub started_at_ms: u64,
    /// When it ended, in Unix milliseconds; absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

/// What a node began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// When it was made, in Unix milliseconds.
    pub made_at_ms: u64,
    /// How old it was when it was loaded, in seconds: what may be lost when no other copy lived.
    pub age_seconds: u64,
    /// Entries loaded.
    pub entries: u64,
}
