//! Answers to operators: what masters say of backups, restores, namespaces and changes of the ring.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::member::Phase;
use crate::{Epoch, NodeId};

/// Answer of `POST /backup`: one round over all auxiliaries of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupReport {
    /// Id of the round; the backup of every node carries it.
    pub id: String,
    /// Whether every node has made its backup.
    pub complete: bool,
    /// Entries in all of them, copies counted.
    pub entries: u64,
    /// Length of all files.
    pub bytes: u64,
    /// One per node.
    pub nodes: Vec<BackupPart>,
}

/// The backup of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupPart {
    /// The node.
    pub node: NodeId,
    /// Entries in it.
    pub entries: u64,
    /// Length of its file.
    pub bytes: u64,
    /// Why there is none, or why it is of no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of `GET /backups`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct BackupListing {
    /// The newest first.
    pub items: Vec<BackupSet>,
    /// Nodes whose backups are not known.
    pub unanswered: Vec<Unanswered>,
}

/// Backups of several nodes under one id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupSet {
    /// The id.
    pub id: String,
    /// When the first of them was begun, in Unix milliseconds; null when none can be read.
    pub made_at_ms: Option<u64>,
    /// Entries in all of them, copies counted.
    pub entries: u64,
    /// Length of all files.
    pub bytes: u64,
    /// One per node.
    pub nodes: Vec<BackupPart>,
}

/// A node that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// The node.
    pub node: NodeId,
    /// What happened.
    pub error: String,
}

/// What becomes of the entries that are there when a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestoreMode {
    /// They stay; of each key the newest version wins, and what was deleted since stays deleted.
    Merge,
    /// They are dropped first.
    Replace,
}

/// Answer of `POST /restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreReport {
    /// How it was done.
    pub mode: RestoreMode,
    /// Whether nothing failed.
    pub complete: bool,
    /// Entries in the restored backups, copies counted.
    pub entries: u64,
    /// One per node.
    pub nodes: Vec<RestorePart>,
}

/// What one node did for a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestorePart {
    /// The node.
    pub node: NodeId,
    /// The backup it restored; null when it has none that was asked for.
    pub backup: Option<String>,
    /// When that was made, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at_ms: Option<u64>,
    /// Entries dropped before; with `replace` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<u64>,
    /// Entries in the backup.
    pub entries: u64,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Answer of `POST /rebalance` and of `POST /nodes/{id}/drain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RingChange {
    /// Whether it is done; otherwise it goes on, and `GET /nodes` shows how far it is.
    pub done: bool,
    /// The node that leaves the ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Epoch of the ring when it was asked for.
    pub from_epoch: Epoch,
    /// Epoch of the ring now.
    pub epoch: Epoch,
    /// How far a change of the ring has come.
    pub phase: Phase,
    /// What the range syncs of that epoch have done so far, on all nodes that answer.
    pub sync: SyncTotals,
}

/// Range syncs of all nodes, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SyncTotals {
    /// Parts of the keys that were compared.
    pub buckets_done: u64,
    /// Parts of the keys there are.
    pub buckets: u64,
    /// Entries fetched.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Answer of `GET /namespaces`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NamespaceListing {
    /// By name.
    pub items: Vec<NamespaceReport>,
    /// Nodes whose part is missing in the sums.
    pub unanswered: Vec<Unanswered>,
}

/// What a namespace holds and may hold, over the whole cache, copies not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NamespaceReport {
    /// Its name; empty is the default one, `/others` all that are not counted apart.
    pub namespace: String,
    /// Entries held.
    pub entries: u64,
    /// Memory they take, with keys and bookkeeping.
    pub bytes: u64,
    /// Reads that found a value, since the nodes started.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Entries dropped to stay within a bound.
    pub evictions: u64,
    /// Most entries; null for no bound.
    #[serde(default)]
    pub max_entries: Option<u64>,
    /// Most bytes; null for no bound.
    #[serde(default)]
    pub max_bytes: Option<u64>,
}

/// Answer of a delete by prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Entries removed, copies not counted.
    pub deleted: u64,
}
