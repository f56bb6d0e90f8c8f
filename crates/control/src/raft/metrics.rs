//! What an operator sees of the engine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The engine's metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub(crate) struct RaftMetrics {
    term: IntGauge,
    applied_index: IntGauge,
    is_leader: IntGauge,
    fsync_seconds: Histogram,
    fsync_batch_entries: Histogram,
    revision: IntGauge,
    db_bytes: IntGauge,
    commit_seconds: Histogram,
    append_entries: Histogram,
    read_batch: Histogram,
    leader_changes: IntCounter,
    last_leader: Arc<Mutex<Option<u64>>>,
    forwarded: IntCounterVec,
    member_lag: IntGaugeVec,
    shown_members: Arc<Mutex<BTreeSet<String>>>,
    disk_full: IntGauge,
    snapshots: IntCounterVec,
}

impl RaftMetrics {
    /// Makes the metrics and registers them, if there is where.
    pub(crate) fn new(registry: Option<&Registry>) -> prometheus::Result<Self> {
        let sync_buckets = vec![
            0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
        ];
        let batches = prometheus::exponential_buckets(1.0, 2.0, 13)?;
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        let metrics = Self {
            term: IntGauge::new("raft_term", "Term of the raft protocol.")?,
            applied_index: IntGauge::new("raft_applied_index", "Index of the last log entry that was applied.")?,
            is_leader: IntGauge::new("raft_is_leader", "1 on the raft leader, 0 elsewhere.")?,
            fsync_seconds: histogram("raft_fsync_seconds", "Time of a sync of the raft log to disk.", &sync_buckets)?,
            fsync_batch_entries: histogram(
                "raft_fsync_batch_entries",
                "Log entries that one sync made durable.",
                &batches,
            )?,
            revision: IntGauge::new("control_store_revision", "Revision of the control store.")?,
            db_bytes: IntGauge::new("control_store_db_bytes", "Bytes of keys and values in the control store.")?,
            commit_seconds: histogram(
                "raft_commit_seconds",
                "Time from a proposal on the raft leader to its answer: durable on a majority, and applied.",
                &sync_buckets,
            )?,
            append_entries: histogram("raft_append_entries", "Log entries in one message to a follower.", &batches)?,
            read_batch: histogram(
                "raft_read_index_batch",
                "Linearizable reads that one question to the leader served.",
                &batches,
            )?,
            leader_changes: IntCounter::new("raft_leader_changes_total", "Raft leaders this node has seen come.")?,
            last_leader: Arc::default(),
            forwarded: IntCounterVec::new(
                Opts::new(
                    "raft_forwarded_calls_total",
                    "Calls passed on to the raft leader, by outcome.",
                ),
                &["result"],
            )?,
            member_lag: IntGaugeVec::new(
                Opts::new(
                    "raft_member_lag_entries",
                    "Log entries a member is behind; known to the raft leader only.",
                ),
                &["member"],
            )?,
            shown_members: Arc::default(),
            disk_full: IntGauge::new("raft_disk_full", "1 while the raft log waits for space on the disk.")?,
            snapshots: IntCounterVec::new(
                Opts::new("raft_snapshots_total", "Snapshots sent to and received from other masters."),
                &["way"],
            )?,
        };
        if let Some(registry) = registry {
            let collectors: [Box<dyn Collector>; 15] = [
                Box::new(metrics.term.clone()),
                Box::new(metrics.applied_index.clone()),
                Box::new(metrics.is_leader.clone()),
                Box::new(metrics.revision.clone()),
                Box::new(metrics.db_bytes.clone()),
                Box::new(metrics.fsync_seconds.clone()),
                Box::new(metrics.fsync_batch_entries.clone()),
                Box::new(metrics.commit_seconds.clone()),
                Box::new(metrics.append_entries.clone()),
                Box::new(metrics.read_batch.clone()),
                Box::new(metrics.leader_changes.clone()),
                Box::new(metrics.forwarded.clone()),
                Box::new(metrics.member_lag.clone()),
                Box::new(metrics.disk_full.clone()),
                Box::new(metrics.snapshots.clone()),
            ];
            for collector in collectors {
                registry.register(collector)?;
            }
        }
        Ok(metrics)
    }

    /// A sync was done.
    pub(crate) fn synced(&self, took: Duration, entries: usize) {
        self.fsync_seconds.observe(took.as_secs_f64());
        if entries > 0 {
            self.fsync_batch_entries.observe(entries as f64);
        }
    }

    /// Entries were applied.
    pub(crate) fn applied(&self, index: u64, revision: u64, bytes: u64) {
        self.applied_index.set(gauge(index));
        self.revision.set(gauge(revision));
        self.db_bytes.set(gauge(bytes));
    }

    /// The node's part in the protocol, which may have changed.
    pub(crate) fn role(&self, term: u64, is_leader: bool, leader: Option<u64>) {
        self.term.set(gauge(term));
        self.is_leader.set(i64::from(is_leader));
        let mut last = self.last_leader.lock();
        if leader.is_some() && leader != *last {
            self.leader_changes.inc();
            *last = leader;
        }
    }

    /// A write was acknowledged here.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A message with entries goes to a follower.
    pub(crate) fn append_sent(&self, entries: usize) {
        self.append_entries.observe(entries as f64);
    }

    /// One question to the leader serves so many reads.
    pub(crate) fn read_round(&self, readers: usize) {
        self.read_batch.observe(readers as f64);
    }

    /// A call was passed on to the leader.
    pub(crate) fn forwarded(&self, result: &str) {
        self.forwarded.with_label_values(&[result]).inc();
    }

    /// How far the members are, and whether the disk here is full.
    pub(crate) fn members<'a>(&self, full: bool, lags: impl Iterator<Item = (&'a str, Option<u64>)>) {
        self.disk_full.set(i64::from(full));
        let mut shown = self.shown_members.lock();
        let mut gone = std::mem::take(&mut *shown);
        for (name, lag) in lags.filter_map(|(name, lag)| Some((name, lag?))) {
            self.member_lag.with_label_values(&[name]).set(gauge(lag));
            gone.remove(name);
            shown.insert(name.to_owned());
        }
        for name in gone {
            // A series that is not there is what is wanted.
            self.member_lag.remove_label_values(&[name.as_str()]).ok();
        }
    }

    /// A snapshot has gone to another master.
    pub(crate) fn snapshot_sent(&self) {
        self.snapshots.with_label_values(&["sent"]).inc();
    }

    /// A snapshot has come from another master.
    pub(crate) fn snapshot_received(&self) {
        self.snapshots.with_label_values(&["received"]).inc();
    }

    /// Calls passed on to the leader so far, with this outcome.
    #[cfg(test)]
    pub(crate) fn forwards(&self, result: &str) -> u64 {
        self.forwarded.with_label_values(&[result]).get()
    }

    /// Snapshots received so far.
    #[cfg(test)]
    pub(crate) fn received(&self) -> u64 {
        self.snapshots.with_label_values(&["received"]).get()
    }

    /// Syncs so far, and entries they made durable.
    #[cfg(test)]
    pub(crate) fn syncs(&self) -> (u64, f64) {
        (
            self.fsync_seconds.get_sample_count(),
            self.fsync_batch_entries.get_sample_sum(),
        )
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
