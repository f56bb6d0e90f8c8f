//! Answers to operators: what masters say of backups, restores, namespaces and changes of the ring.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cache::SyncProgress;
use crate::member::Phase;
use crate::{Epoch, NodeId};

/// Begins the ids of backups that somebody asked for. They are kept apart from periodic ones, so that neither displace the
/// others.
pub const ASKED_BACKUP: &str = "asked-";

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
    /// Revision of the control store at which it was asked for: a rebalance is done when `GET /nodes` shows a stable ring of a
    /// greater `ring_revision`, and nothing `rebalancing`. Absent when it was done before it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_revision: Option<u64>,
    /// What the range syncs of this change have done so far, on all nodes that answer; all they did when it is done. Of a
    /// change that was done before it was asked for: what the last range syncs did.
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

impl SyncTotals {
    /// Adds up the last range syncs of nodes: those of epoch `since` and later, without one those of the newest epoch.
    #[must_use]
    pub fn of(syncs: &[SyncProgress], since: Option<Epoch>) -> Self {
        let newest = || syncs.iter().map(|sync| sync.epoch).max().unwrap_or_default();
        let since = since.unwrap_or_else(newest);
        let counted = syncs.iter().filter(|sync| sync.epoch >= since);
        counted.fold(Self::default(), |sum, sync| Self {
            buckets_done: sum.buckets_done + sync.buckets_done,
            buckets: sum.buckets + sync.buckets,
            entries: sum.entries + sync.entries,
            bytes: sum.bytes + sync.bytes,
        })
    }
}

/// Answer of `GET /namespaces`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct NamespaceListing {
    /// By name.
    pub items: Vec<NamespaceReport>,
    /// Nodes whose part is missing in the sums.
    pub unanswered: Vec<Unanswered>,
}

/// How the default namespace, which has no name, is called where there must be one: in paths and in labels of metrics.
pub const DEFAULT_NAMESPACE: &str = "_default";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_syncs_of_the_change_are_added_up() {
        let sync = |epoch, entries| SyncProgress {
            epoch: Epoch(epoch),
            buckets_done: 3,
            buckets: 4,
            entries,
            bytes: 6,
            ..SyncProgress::default()
        };
        let syncs = [sync(4, 10), sync(7, 20), sync(7, 1)];
        let entries = |since: Option<u64>| SyncTotals::of(&syncs, since.map(Epoch)).entries;
        assert_eq!(
            (entries(Some(4)), entries(Some(5)), entries(Some(8)), entries(None)),
            (31, 21, 0, 21)
        );
        let whole = SyncTotals {
            buckets_done: 6,
            buckets: 8,
            entries: 21,
            bytes: 12,
        };
        assert_eq!(SyncTotals::of(&syncs, None), whole);
        assert_eq!(SyncTotals::of(&[], None), SyncTotals::default());
    }
}
