//! Figures of a worker.

use std::path::PathBuf;

use api::job::Cost;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Histogram, IntCounter, IntCounterVec, IntGauge, Opts};
use query::Engine;
use telemetry::{Metrics, Registry};

/// Bounds of a task's time in seconds: a small one takes milliseconds, a large one minutes.
const TASK_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Bounds of a task's memory in bytes.
const MEMORY_BUCKETS: &[f64] = &[1e6, 4e6, 16e6, 64e6, 256e6, 1e9, 4e9, 16e9];

/// How a piece of work ends.
const RESULTS: [&str; 7] = [
    "planned",
    "done",
    "user_error",
    "fetch_failed",
    "out_of_memory",
    "failed",
    "cancelled",
];

/// Figures of a worker.
#[derive(Debug, Clone)]
pub(crate) struct WorkerMetrics {
    /// By result: see [`RESULTS`].
    pub(crate) tasks: IntCounterVec,
    pub(crate) duration: Histogram,
    shuffle_written: IntCounter,
    pub(crate) shuffle_fetched: IntCounter,
    pub(crate) shuffle_served: IntCounter,
    spilled: IntCounter,
    cpu_seconds: Counter,
    bytes_read: IntCounter,
    peak_memory: Histogram,
    pub(crate) slots_in_use: IntGauge,
}

impl WorkerMetrics {
    pub(crate) fn new(registry: &Registry, slots: u32, engine: &Engine, work_dir: PathBuf) -> Self {
        let metrics = Metrics::new(registry);
        let cpu_seconds = Counter::new("task_cpu_seconds_total", "Processor time of tasks that ended well.");
        let cpu_seconds = cpu_seconds.expect("metric names are constants and valid");
        metrics.register(cpu_seconds.clone());
        metrics
            .int_gauge("worker_slots", "Tasks this worker runs at once.")
            .set(i64::from(slots));
        metrics.register(Resources::new(engine.clone(), work_dir));
        let tasks = metrics.counters("tasks_total", "Pieces of work that ended, plannings included.", &["result"]);
        // From zero, so that the first one is seen to be an increase.
        RESULTS.iter().for_each(|result| drop(tasks.with_label_values(&[result])));
        Self {
            tasks,
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
            cpu_seconds,
            bytes_read: metrics.counter("table_bytes_read_total", "Bytes of tables that tasks asked for."),
            peak_memory: metrics.histogram(
                "task_peak_memory_bytes",
                "Most memory that a task reserved at once.",
                MEMORY_BUCKETS,
            ),
            slots_in_use: metrics.int_gauge("worker_slots_in_use", "Tasks running now."),
        }
    }
}

impl WorkerMetrics {
    /// Counts what a task cost.
    pub(crate) fn cost(&self, cost: &Cost) {
        self.cpu_seconds.inc_by(cost.cpu_ms as f64 / 1000.0);
        self.bytes_read.inc_by(cost.bytes_read);
        self.shuffle_written.inc_by(cost.bytes_shuffled);
        self.spilled.inc_by(cost.bytes_spilled);
        self.peak_memory.observe(cost.peak_memory as f64);
    }
}

/// Memory and disk, looked at when asked for.
struct Resources {
    engine: Engine,
    work_dir: PathBuf,
    used: IntGauge,
    limit: IntGauge,
    free: IntGauge,
}

impl Resources {
    fn new(engine: Engine, work_dir: PathBuf) -> Self {
        let gauge =
            |name: &str, help: &str| IntGauge::with_opts(Opts::new(name, help)).expect("metric names are constants and valid");
        Self {
            engine,
            work_dir,
            used: gauge("query_memory_used_bytes", "Memory held by running tasks."),
            limit: gauge("query_memory_limit_bytes", "Memory there is for running tasks."),
            free: gauge("work_dir_free_bytes", "Room on the disk of WORK_DIR."),
        }
    }
}

impl Collector for Resources {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.used, &self.limit, &self.free];
        gauges.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let shown = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.used.set(shown(self.engine.memory_used() as u64));
        self.limit.set(shown(self.engine.memory_limit() as u64));
        if let Ok(disk) = rustix::fs::statvfs(&self.work_dir) {
            self.free.set(shown(disk.f_bavail.saturating_mul(disk.f_frsize)));
        }
        let gauges = [&self.used, &self.limit, &self.free];
        gauges.into_iter().flat_map(Collector::collect).collect()
    }
}
