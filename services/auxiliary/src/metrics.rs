//! Figures of an auxiliary.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use store::cache::{Cache, Stats};
use telemetry::{LATENCY_BUCKETS, Metrics};

/// Kinds of cache operations, and how they can end; their labels are looked up once, not per operation.
const OPERATIONS: [&str; 4] = ["get", "put", "delete", "incr"];
const RESULTS: [&str; 6] = ["hit", "miss", "ok", "conflict", "stale", "error"];

/// Kind of a cache operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Get,
    Put,
    Delete,
    Incr,
}

/// How a cache operation ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    Hit,
    Miss,
    Ok,
    Conflict,
    Stale,
    Error,
}

/// Counters and times of cache operations.
#[derive(Debug)]
pub(crate) struct CacheMetrics {
    operations: Vec<IntCounter>,
    duration: Vec<Histogram>,
    pub(crate) refused: IntCounterVec,
}

impl CacheMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let operations = metrics.counters(
            "cache_operations_total",
            "Cache operations carried out here.",
            &["operation", "result"],
        );
        let help = "Time of a cache operation at the node that holds the entry.";
        let duration = metrics.histograms("cache_request_duration_seconds", help, &["operation"], LATENCY_BUCKETS);
        let help = "Batches refused because their caller knew another ring or another life of this node.";
        let refused = metrics.counters("cache_batches_refused_total", help, &["reason"]);
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
            refused,
        }
    }

    /// Counts one operation that took so many seconds.
    pub(crate) fn record(&self, operation: Operation, ended: Ended, seconds: f64) {
        self.operations[operation as usize * RESULTS.len() + ended as usize].inc();
        self.duration[operation as usize].observe(seconds);
    }
}

/// Asks the cache for its sizes when it is itself asked.
pub(crate) struct CacheCollector {
    cache: Arc<Cache>,
    entries: IntGauge,
    bytes: IntGauge,
    expirations: IntCounter,
    evictions: IntCounterVec,
}

impl CacheCollector {
    pub(crate) fn register(cache: Arc<Cache>, registry: &Registry) {
        let constant = "names and labels are constants";
        let evictions = Opts::new("cache_evictions_total", "Entries dropped to stay within a bound.");
        Metrics::new(registry).register(Self {
            cache,
            entries: IntGauge::new("cache_size_current", "Entries held.").expect(constant),
            bytes: IntGauge::new(
                "cache_bytes_current",
                "Bytes of memory the entries take, bookkeeping included.",
            )
            .expect(constant),
            expirations: IntCounter::new("cache_expirations_total", "Entries dropped because their time was over.")
                .expect(constant),
            evictions: IntCounterVec::new(evictions, &["reason"]).expect(constant),
        });
    }

    fn update(&self, stats: &Stats) {
        self.entries.set(stats.entries.cast_signed() as i64);
        self.bytes.set(stats.bytes.cast_signed() as i64);
        let raise = |counter: &IntCounter, to: u64| counter.inc_by(to.saturating_sub(counter.get()));
        raise(&self.expirations, stats.expirations);
        raise(&self.evictions.with_label_values(&["entries"]), stats.evictions_by_entries);
        raise(&self.evictions.with_label_values(&["bytes"]), stats.evictions_by_bytes);
    }
}

impl Collector for CacheCollector {
    fn desc(&self) -> Vec<&Desc> {
        let collectors: [&dyn Collector; 4] = [&self.entries, &self.bytes, &self.expirations, &self.evictions];
        collectors.into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.update(&self.cache.stats());
        let collectors: [&dyn Collector; 4] = [&self.entries, &self.bytes, &self.expirations, &self.evictions];
        collectors.into_iter().flat_map(Collector::collect).collect()
    }
}
