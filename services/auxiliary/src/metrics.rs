//! Figures of an auxiliary.

mod namespaces;

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use store::blob::BlobStore;
use store::cache::{Cache, Stats};
use telemetry::Metrics;

pub(crate) use namespaces::NamespaceCollector;

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
        raise(&self.evictions.with_label_values(&["quota"]), stats.evictions_by_quota);
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

/// What repair did with a copy: sent it, removed it, took a good one in place of a damaged one; or could not send it, or found no good one.
const REPAIRS: [&str; 5] = ["copied", "removed", "healed", "failed", "unhealed"];

/// Figures of blobs.
#[derive(Debug, Clone)]
pub(crate) struct BlobMetrics {
    /// By operation and how it began to be answered.
    pub(crate) operations: IntCounterVec,
    /// By what was done: see [`REPAIRS`].
    pub(crate) repairs: IntCounterVec,
    /// Damaged copies found.
    pub(crate) damaged: IntCounter,
    /// Bytes read to see whether they are as they were written.
    pub(crate) scrubbed_bytes: IntCounter,
}

impl BlobMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let help = "Operations on blobs, by how they began to be answered.";
        let repaired = "Copies of blobs that repair made or removed, by what was done.";
        let repairs = metrics.counters("blob_repairs_total", repaired, &["result"]);
        // From zero, so that the first one is seen to be an increase.
        REPAIRS.iter().for_each(|result| drop(repairs.with_label_values(&[result])));
        Self {
            operations: metrics.counters("blob_operations_total", help, &["operation", "result"]),
            repairs,
            damaged: metrics.counter("blob_damaged_total", "Copies of blobs found damaged, by a read or a scrub."),
            scrubbed_bytes: metrics.counter("blob_scrubbed_bytes_total", "Bytes of blobs read by scrubs and found good."),
        }
    }
}

/// Asks the directory of blobs for its sizes when it is itself asked.
pub(crate) struct BlobCollector {
    blobs: BlobStore,
    count: IntGauge,
    bytes: IntGauge,
    free: IntGauge,
}

impl BlobCollector {
    pub(crate) fn register(blobs: BlobStore, registry: &Registry) {
        let constant = "names are constants";
        let free = "Bytes that the disk of the blobs has left.";
        Metrics::new(registry).register(Self {
            blobs,
            count: IntGauge::new("blobs", "Blobs held.").expect(constant),
            bytes: IntGauge::new("blob_bytes", "Bytes that the blobs take on disk.").expect(constant),
            free: IntGauge::new("blob_disk_free_bytes", free).expect(constant),
        });
    }
}

impl Collector for BlobCollector {
    fn desc(&self) -> Vec<&Desc> {
        [&self.count, &self.bytes, &self.free]
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (count, bytes) = self.blobs.totals();
        self.count.set(count.cast_signed() as i64);
        self.bytes.set(bytes.cast_signed());
        // A disk that cannot be asked shows its last figure.
        if let Ok(free) = self.blobs.free_bytes() {
            self.free.set(free.cast_signed());
        }
        [&self.count, &self.bytes, &self.free]
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}
