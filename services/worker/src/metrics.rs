//! Figures of a worker.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Opts};
use query::Engine;
use telemetry::{Metrics, Registry};

/// Bounds of a task's time in seconds: a small one takes milliseconds, a large one minutes.
const TASK_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Figures of a worker.
#[derive(Debug, Clone)]
pub(crate) struct WorkerMetrics {
    /// By result: `planned`, `done`, `user_error`, `fetch_failed`, `failed`, `cancelled`.
    pub(crate) tasks: IntCounterVec,
    pub(crate) duration: Histogram,
    pub(crate) shuffle_written: IntCounter,
    pub(crate) shuffle_fetched: IntCounter,
    pub(crate) shuffle_served: IntCounter,
    pub(crate) spilled: IntCounter,
    pub(crate) slots_in_use: IntGauge,
}

impl WorkerMetrics {
    pub(crate) fn new(registry: &Registry, slots: u32, engine: &Engine) -> Self {
        let metrics = Metrics::new(registry);
        metrics
            .int_gauge("worker_slots", "Tasks this worker runs at once.")
            .set(i64::from(slots));
        metrics.register(Memory::new(engine.clone()));
        Self {
            tasks: metrics.counters("tasks_total", "Pieces of work that ended, plannings included.", &["result"]),
            duration: metrics.histogram(
                "task_duration_seconds",
                "Time from start to end of a piece of work.",
                TASK_BUCKETS,
            ),
            shuffle_written: metrics.counter("shuffle_bytes_written_total", "Bytes of shuffle files written."),
            shuffle_fetched: metrics.counter(
                "shuffle_bytes_fetched_total",
                "Bytes of shuffle files fetched from other workers.",
            ),
            shuffle_served: metrics.counter("shuffle_bytes_served_total", "Bytes of shuffle files sent to other workers."),
            spilled: metrics.counter("spilled_bytes_total", "Bytes that went to disk because memory was short."),
            slots_in_use: metrics.int_gauge("worker_slots_in_use", "Tasks running now."),
        }
    }
}

/// The memory pool, looked at when asked for.
struct Memory {
    engine: Engine,
    used: IntGauge,
    limit: IntGauge,
}

impl Memory {
    fn new(engine: Engine) -> Self {
        let gauge =
            |name: &str, help: &str| IntGauge::with_opts(Opts::new(name, help)).expect("metric names are constants and valid");
        Self {
            engine,
            used: gauge("query_memory_used_bytes", "Memory held by running tasks."),
            limit: gauge("query_memory_limit_bytes", "Memory there is for running tasks."),
        }
    }
}

impl Collector for Memory {
    fn desc(&self) -> Vec<&Desc> {
        self.used.desc().into_iter().chain(self.limit.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.used.set(i64::try_from(self.engine.memory_used()).unwrap_or(i64::MAX));
        self.limit.set(i64::try_from(self.engine.memory_limit()).unwrap_or(i64::MAX));
        self.used.collect().into_iter().chain(self.limit.collect()).collect()
    }
}
