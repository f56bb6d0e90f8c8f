//! What a node counts of the calls that come in frames: HTTP's figures know only the connections.

use std::sync::OnceLock;
use std::time::Duration;

use api::ErrorCode;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
use telemetry::traces::Tracer;
use telemetry::{LATENCY_BUCKETS, Metrics};

/// Kinds whose series are kept at hand; looking them up by their labels costs more than the calls of some kinds.
const AT_HAND: usize = 16;
/// Status of a call that was carried out, as HTTP would have it.
const OK: u16 = 200;

/// Figures of the calls a node answers, and the traces of some.
#[derive(Debug)]
pub struct FrameMetrics {
    calls: IntCounterVec,
    duration: HistogramVec,
    pub(super) connections: IntGauge,
    pub(super) tracer: Tracer,
    at_hand: [OnceLock<Series>; AT_HAND],
}

/// The series of calls of one kind that were carried out.
#[derive(Debug)]
struct Series {
    calls: IntCounter,
    duration: Histogram,
}

impl FrameMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            calls: metrics.counters(
                "frame_calls_total",
                "Calls of peers that were answered, by the status HTTP has for the answer.",
                &["kind", "status"],
            ),
            duration: metrics.histograms(
                "frame_call_duration_seconds",
                "Time from a call that was read to its answer.",
                &["kind"],
                LATENCY_BUCKETS,
            ),
            connections: metrics.int_gauge("frame_connections", "Connections on which peers call."),
            tracer: Tracer::default(),
            at_hand: Default::default(),
        }
    }

    /// Records what is traced, too.
    #[must_use]
    pub fn traced(mut self, tracer: &Tracer) -> Self {
        self.tracer = tracer.clone();
        self
    }

    /// Counts an answer to a call of the kind `number`, which is called `kind`.
    pub(super) fn answered(&self, number: u8, kind: &str, outcome: Result<(), ErrorCode>, took: Duration) {
        let status = outcome.map_or_else(ErrorCode::status, |()| OK);
        match self.at_hand.get(usize::from(number)) {
            Some(place) if status == OK => place.get_or_init(|| self.series(kind, status)).answered(took),
            _ => self.series(kind, status).answered(took),
        }
    }

    fn series(&self, kind: &str, status: u16) -> Series {
        Series {
            calls: self.calls.with_label_values(&[kind, &status.to_string()]),
            duration: self.duration.with_label_values(&[kind]),
        }
    }
}

impl Series {
    fn answered(&self, took: Duration) {
        self.calls.inc();
        self.duration.observe(took.as_secs_f64());
    }
}
