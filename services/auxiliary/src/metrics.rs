//! Figures of an auxiliary.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use store::cache::{Cache, Stats};
use telemetry::Metrics;

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
