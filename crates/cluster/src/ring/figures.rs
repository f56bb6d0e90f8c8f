//! Figures of the leader's care for the ring.

use api::member::{Phase, RingRecord};
use prometheus::{Histogram, IntCounter, IntGauge, Registry};
use telemetry::Metrics;
use tokio::time::Instant;

/// From a change that moves nothing to one that moves gigabytes.
const CHANGE_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

#[derive(Debug)]
pub(super) struct Figures {
    pub(super) probe_failures: IntCounter,
    pub(super) complaints: IntGauge,
    changes: IntCounter,
    change_seconds: Histogram,
}

impl Figures {
    pub(super) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            probe_failures: metrics.counter(
                "cluster_probe_failures_total",
                "Probes of auxiliaries by the leader that failed.",
            ),
            complaints: metrics.int_gauge(
                "cluster_complaints",
                "Auxiliaries in the ring that cannot reach each other, or that masters cannot reach, as the leader knows.",
            ),
            changes: metrics.counter(
                "cluster_ring_changes_total",
                "Records of the ring this master has written as leader.",
            ),
            change_seconds: metrics.histogram(
                "cluster_ring_change_seconds",
                "How long changes of the ring took, from the first record to the stable one, those seen whole by one leader.",
                CHANGE_BUCKETS,
            ),
        }
    }

    /// Takes note of a record that was written; `began` is when the change under way did.
    pub(super) fn written(&self, record: &RingRecord, began: &mut Option<Instant>) {
        self.changes.inc();
        if record.phase == Phase::Stable {
            if let Some(began) = began.take() {
                self.change_seconds.observe(began.elapsed().as_secs_f64());
            }
        } else if record.phase == Phase::Moving {
            began.get_or_insert_with(Instant::now);
        }
    }
}
