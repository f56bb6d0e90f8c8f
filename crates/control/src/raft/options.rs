//! How a raft engine is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use super::types::Peer;
use crate::error::Error;
use crate::state::HistoryLimits;

/// Settings of a [`RaftStore`](super::RaftStore). Make them with [`RaftOptions::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// Where log and snapshots are kept; made if missing. One process at a time.
    pub dir: PathBuf,
    /// This node's identity among the masters; a directory belongs to one.
    pub node_id: u64,
    /// `host:port` at which other masters will reach this one; kept in the membership from the first start on.
    pub address: String,
    /// The other masters. Only a cluster of one is supported as yet: anything here is refused.
    pub peers: BTreeMap<u64, Peer>,
    /// How often the raft leader shows that it is there.
    pub heartbeat: Duration,
    /// Silence of the leader after which a follower stands for election: at least, and at most.
    pub election_timeout: (Duration, Duration),
    /// Deadline of a call.
    pub request_timeout: Duration,
    /// Entries after which a snapshot is made and the log behind it removed.
    pub snapshot_entries: u64,
    /// Bytes of the log after which a snapshot is made, however few entries they are.
    pub snapshot_bytes: u64,
    /// Length of a log file.
    pub segment_bytes: u64,
    /// Revisions a watch can go back.
    pub history_revisions: usize,
    /// Bytes of changes a watch can go back, whichever is less.
    pub history_bytes: u64,
    /// Bytes that the keys under `kv/` may take.
    pub kv_quota_bytes: u64,
    /// Shortest ttl of a lease; shorter wishes are lifted to it.
    pub min_lease_ttl: Duration,
    /// Bytes of the writes under way at once; more wait their turn, up to their deadline.
    pub max_pending_bytes: usize,
    /// Where the metrics are registered.
    pub registry: Option<prometheus::Registry>,
}

impl RaftOptions {
    /// The defaults, for a directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, node_id: u64) -> Self {
        Self {
            dir: dir.into(),
            node_id,
            address: String::new(),
            peers: BTreeMap::new(),
            heartbeat: Duration::from_millis(200),
            election_timeout: (Duration::from_secs(1), Duration::from_secs(2)),
            request_timeout: Duration::from_secs(5),
            snapshot_entries: 10_000,
            snapshot_bytes: 128 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            history_revisions: 100_000,
            history_bytes: 64 * 1024 * 1024,
            kv_quota_bytes: 1024 * 1024 * 1024,
            min_lease_ttl: Duration::from_millis(500),
            max_pending_bytes: 64 * 1024 * 1024,
            registry: None,
        }
    }

    pub(super) const fn history(&self) -> HistoryLimits {
        HistoryLimits {
            revisions: self.history_revisions,
            bytes: self.history_bytes,
        }
    }

    pub(super) fn config(&self) -> Result<Config, Error> {
        let config = Config {
            cluster_name: "elasticore".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_timeout.0),
            election_timeout_max: millis(self.election_timeout.1),
            install_snapshot_timeout: millis(self.request_timeout),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            // No peer could lag and want entries that the snapshot covers.
            max_in_snapshot_log_to_keep: 0,
            enable_pre_vote: Some(true),
            // A restarted leader is elected anew: a term of its own proves that it has all that was committed.
            enable_leader_restore: Some(false),
            ..Config::default()
        };
        config
            .validate()
            .map_err(|error| Error::Invalid(format!("the raft timeouts do not fit: {error}")))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
