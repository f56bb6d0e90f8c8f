//! Figures of an owner.

use prometheus::{Histogram, IntCounter, IntCounterVec, Registry};
use telemetry::LATENCY_BUCKETS;

use super::outcome::Outcome;
use api::cache::{FrameOp, FrameReply};

/// Kinds of operations, and how they can end; their labels are looked up once, not per operation.
const OPERATIONS: [&str; 6] = ["get", "load", "put", "touch", "delete", "incr"];
const RESULTS: [&str; 6] = ["hit", "miss", "ok", "conflict", "stale", "error"];

/// Counters and times of an owner.
#[derive(Debug)]
pub(crate) struct Metrics {
    operations: Vec<IntCounter>,
    duration: Vec<Histogram>,
    pub(super) refused: IntCounterVec,
    pub(super) replica_frames: IntCounterVec,
    pub(super) replica_delay: Histogram,
    pub(super) replica_items: IntCounter,
    pub(crate) sync_entries: IntCounter,
    pub(crate) sync_bytes: IntCounter,
    pub(crate) sync_dropped: IntCounter,
    pub(crate) sync_seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = telemetry::Metrics::new(registry);
        let operations = metrics.counters(
            "cache_operations_total",
            "Cache operations carried out here.",
            &["operation", "result"],
        );
        let help = "Time of a cache operation at the node that holds the entry, without the wait for replicas.";
        let duration = metrics.histograms("cache_request_duration_seconds", help, &["operation"], LATENCY_BUCKETS);
        let of = |operation: &str, result: &str| operations.with_label_values(&[operation, result]);
        Self {
            operations: OPERATIONS
                .iter()
                .flat_map(|operation| RESULTS.map(|result| of(operation, result)))
                .collect(),
            duration: OPERATIONS
                .iter()
                .map(|operation| duration.with_label_values(&[operation]))
                .collect(),
            refused: metrics.counters(
                "cache_batches_refused_total",
                "Calls refused because their caller knew another ring or another life of this node.",
                &["reason"],
            ),
            replica_frames: metrics.counters(
                "cache_replication_frames_total",
                "Frames to other owners, attempts counted one by one.",
                &["result"],
            ),
            replica_delay: metrics.histogram(
                "cache_replication_seconds",
                "Time until another owner had a frame, repetitions included.",
                LATENCY_BUCKETS,
            ),
            replica_items: metrics.counter("cache_replica_writes_total", "Writes taken from the primaries of other keys."),
            sync_entries: metrics.counter("cache_sync_entries_total", "Entries fetched by range sync."),
            sync_bytes: metrics.counter("cache_sync_bytes_total", "Bytes fetched by range sync."),
            sync_dropped: metrics.counter("cache_sync_dropped_total", "Outdated entries dropped by range sync."),
            sync_seconds: metrics.histogram(
                "cache_sync_seconds",
                "Time of a whole range sync.",
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0],
            ),
        }
    }

    /// Counts one operation that took so many seconds.
    pub(super) fn record(&self, op: &FrameOp<'_>, outcome: &Outcome, seconds: f64) {
        let operation = match op {
            FrameOp::Get => 0,
            FrameOp::Load { .. } => 1,
            FrameOp::Put { .. } => 2,
            FrameOp::Touch { .. } => 3,
            FrameOp::Delete { .. } => 4,
            FrameOp::Incr { .. } => 5,
        };
        let ended = match outcome {
            Outcome::Hit { .. } => 0,
            Outcome::Plain(FrameReply::Miss { .. } | FrameReply::Loading | FrameReply::Deleted { existed: false }) => 1,
            Outcome::Plain(FrameReply::PreconditionFailed { .. }) => 3,
            Outcome::Plain(FrameReply::Stale { .. }) => 4,
            Outcome::Plain(_) => 2,
            Outcome::Failed(..) => 5,
        };
        self.operations[operation * RESULTS.len() + ended].inc();
        self.duration[operation].observe(seconds);
    }
}
