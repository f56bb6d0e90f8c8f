//! What an operator sees of the engine.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntGauge, Registry};

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
}

impl RaftMetrics {
    /// Makes the metrics and registers them, if there is where.
    pub(crate) fn new(registry: Option<&Registry>) -> prometheus::Result<Self> {
        let sync_buckets = vec![
            0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0,
        ];
        let batch_buckets = prometheus::exponential_buckets(1.0, 2.0, 13)?;
        let metrics = Self {
            term: IntGauge::new("raft_term", "Term of the raft protocol.")?,
            applied_index: IntGauge::new("raft_applied_index", "Index of the last log entry that was applied.")?,
            is_leader: IntGauge::new("raft_is_leader", "1 on the raft leader, 0 elsewhere.")?,
            fsync_seconds: Histogram::with_opts(
                HistogramOpts::new("raft_fsync_seconds", "Time of a sync of the raft log to disk.").buckets(sync_buckets),
            )?,
            fsync_batch_entries: Histogram::with_opts(
                HistogramOpts::new("raft_fsync_batch_entries", "Log entries that one sync made durable.").buckets(batch_buckets),
            )?,
            revision: IntGauge::new("control_store_revision", "Revision of the control store.")?,
            db_bytes: IntGauge::new("control_store_db_bytes", "Bytes of keys and values in the control store.")?,
        };
        if let Some(registry) = registry {
            for gauge in [
                &metrics.term,
                &metrics.applied_index,
                &metrics.is_leader,
                &metrics.revision,
                &metrics.db_bytes,
            ] {
                registry.register(Box::new(gauge.clone()))?;
            }
            for histogram in [&metrics.fsync_seconds, &metrics.fsync_batch_entries] {
                registry.register(Box::new(histogram.clone()))?;
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
    pub(crate) fn role(&self, term: u64, is_leader: bool) {
        self.term.set(gauge(term));
        self.is_leader.set(i64::from(is_leader));
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
