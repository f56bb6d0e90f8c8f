//! How the store is, for people and for tools.

use openraft::async_runtime::WatchReceiver as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::view::Member;
use crate::raft::RaftStore;
use crate::state::State;

/// What a node knows of the store, and the leader's view of the members when it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftStatus {
    /// The cluster of masters, made when they began it.
    pub cluster_id: String,
    /// The node that answers.
    pub name: String,
    /// Its raft id.
    pub id: u64,
    /// The raft leader, if one is known.
    pub leader: Option<String>,
    /// Term of the protocol.
    pub term: u64,
    /// Index of the last entry known to be committed; 0 for none, as below.
    pub committed: u64,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// Index of the last entry in the log here.
    pub last_log: u64,
    /// Index of the last entry that the newest snapshot covers.
    pub snapshot: u64,
    /// Revision of the store here.
    pub revision: u64,
    /// Bytes of all keys and values.
    pub db_bytes: u64,
    /// Bytes of the user's keys and values.
    pub kv_bytes: u64,
    /// Bytes that those may take.
    pub kv_quota_bytes: u64,
    /// The disk here is full: nothing is written until there is space.
    pub disk_full: bool,
    /// Whether a leader has just made sure that it leads.
    pub quorum: bool,
    /// Why not, or what else needs somebody to look at it.
    pub trouble: Option<String>,
    /// All members.
    pub members: Vec<Member>,
}

impl RaftStore {
    /// How the store is. Never fails: says what is known.
    pub async fn status(&self) -> RaftStatus {
        // Somebody looks at a screen: a leader that takes longer is none to speak of.
        let patience = 2 * self.options.lease();
        let (confirmed, view) = tokio::join!(
            self.confirm(Instant::now() + patience),
            tokio::time::timeout(patience, self.leader_view())
        );
        let quorum = confirmed.is_ok();
        // Who leads in vain knows best who is silent.
        let members = match view {
            Ok(Ok(view)) => view.members,
            Ok(Err(_)) | Err(_) => self.view().members,
        };
        let leader = self.leader_id().map(|id| self.name_of(id));
        let (revision, db_bytes, kv_bytes) = self
            .applied
            .look(|state: &State| (state.revision(), state.bytes(), state.user_bytes()));
        let disk_full = self.log.is_full();
        let trouble = match confirmed {
            Err(error) => Some(error.to_string()),
            Ok(_) => self.no_space().map(|error| error.to_string()).or_else(|| self.removed()),
        };
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        RaftStatus {
            cluster_id: self.local.identity.cluster().unwrap_or_default().to_string(),
            name: self.local.identity.name(),
            id: self.local.identity.id(),
            leader,
            term: metrics.current_term,
            committed: metrics
                .cluster_committed
                .max(metrics.local_committed)
                .map_or(0, |id| id.index),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            last_log: metrics.last_log_index.unwrap_or(0),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            revision,
            db_bytes,
            kv_bytes,
            kv_quota_bytes: self.options.kv_quota_bytes,
            disk_full,
            quorum,
            trouble,
            members,
        }
    }
}
