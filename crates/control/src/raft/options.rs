//! How a raft engine is set up.

use std::path::PathBuf;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use super::initial::InitialMember;
use crate::error::Error;
use crate::state::HistoryLimits;

/// Settings of a [`RaftStore`](super::RaftStore). Make them with [`RaftOptions::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct RaftOptions {
    /// Where log and snapshots are kept; made if missing. One process at a time.
    pub dir: PathBuf,
    /// This node's name among the masters (`NODE_ID`); a directory belongs to one.
    pub name: String,
    /// `host:port` at which other masters reach this one's private listener; `initial_cluster` wins over it.
    pub address: String,
    /// Who begins the cluster, this node among them; empty for a cluster of one. A directory that is not new takes nothing
    /// from it but addresses that have changed.
    pub initial_cluster: Vec<InitialMember>,
    /// Private addresses of members to ask for this node's place, when it is not there from the begin.
    pub join: Vec<String>,
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
    /// Entries that stay in the log behind a snapshot, for followers that lag a little.
    pub snapshot_keep_entries: u64,
    /// Length of a log file.
    pub segment_bytes: u64,
    /// Revisions a watch can go back.
    pub history_revisions: usize,
    /// Bytes of changes a watch can go back, whichever is less.
    pub history_bytes: u64,
    /// Bytes that the keys of users may take, of all namespaces together.
    pub kv_quota_bytes: u64,
    /// Shortest ttl of a lease; shorter wishes are lifted to it.
    pub min_lease_ttl: Duration,
    /// Bytes of the writes under way at once; more wait their turn, up to their deadline.
    pub max_pending_bytes: usize,
    /// Where the metrics are registered.
    pub registry: Option<prometheus::Registry>,
}

impl RaftOptions {
    /// The defaults, for a directory and the name of this node.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            name: name.into(),
            address: String::new(),
            initial_cluster: Vec::new(),
            join: Vec::new(),
            heartbeat: Duration::from_millis(200),
            election_timeout: (Duration::from_secs(1), Duration::from_secs(2)),
            request_timeout: Duration::from_secs(5),
            snapshot_entries: 100_000,
            snapshot_bytes: 128 * 1024 * 1024,
            snapshot_keep_entries: 1_000,
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

    /// Time within which a live follower has answered its leader.
    pub(super) fn lease(&self) -> Duration {
        self.election_timeout.1 / 2
    }

    pub(super) fn config(&self) -> Result<Config, Error> {
        // A follower stands for election when the leader's lease (openraft: its largest timeout) and then a timeout of its
        // own have passed. What we promise is the sum.
        let (least, most) = (millis(self.election_timeout.0), millis(self.election_timeout.1));
        let lease = most / 2;
        let timeout_min = least.saturating_sub(lease).max(2 * millis(self.heartbeat));
        let config = Config {
            cluster_name: "elasticore".to_owned(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: timeout_min,
            election_timeout_max: lease,
            install_snapshot_timeout: millis(self.request_timeout),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            max_in_snapshot_log_to_keep: self.snapshot_keep_entries,
            // A follower within what is kept is brought up from the log, others by a snapshot.
            replication_lag_threshold: self.snapshot_keep_entries,
            max_payload_entries: 2_048,
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
