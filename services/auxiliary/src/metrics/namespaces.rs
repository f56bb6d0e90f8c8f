//! Figures of namespaces. There is a bound to how many are counted apart, and so to the number of series; the rest are `/others`.

use std::sync::Arc;

use api::operations::DEFAULT_NAMESPACE;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use store::cache::Cache;
use telemetry::Metrics;

/// Asks the cache about its namespaces when it is itself asked.
pub(crate) struct NamespaceCollector {
    cache: Arc<Cache>,
    /// Only their descriptions: what is collected begins empty each time, for a quota that is gone has no series.
    described: Figures,
}

struct Figures {
    entries: IntGaugeVec,
    bytes: IntGaugeVec,
    reads: IntCounterVec,
    evictions: IntCounterVec,
    quota_entries: IntGaugeVec,
    quota_bytes: IntGaugeVec,
}

impl Figures {
    fn new() -> Self {
        let constant = "names and labels are constants";
        let gauges = |opts| IntGaugeVec::new(opts, &["namespace"]).expect(constant);
        let counters = |opts, labels: &[&str]| IntCounterVec::new(opts, labels).expect(constant);
        Self {
            entries: gauges(Opts::new(
                "cache_namespace_entries",
                "Entries held as their primary, by namespace.",
            )),
            bytes: gauges(Opts::new(
                "cache_namespace_bytes",
                "Bytes of memory these entries take, by namespace.",
            )),
            reads: counters(
                Opts::new("cache_namespace_reads_total", "Reads answered as the primary, by namespace."),
                &["namespace", "result"],
            ),
            evictions: counters(
                Opts::new(
                    "cache_namespace_evictions_total",
                    "Entries dropped to stay within a bound, by namespace.",
                ),
                &["namespace"],
            ),
            quota_entries: gauges(Opts::new(
                "cache_namespace_quota_entries",
                "Entries that its quota allows a namespace on this node.",
            )),
            quota_bytes: gauges(Opts::new(
                "cache_namespace_quota_bytes",
                "Bytes that its quota allows a namespace on this node.",
            )),
        }
    }

    fn all(&self) -> [&dyn Collector; 6] {
        [
            &self.entries,
            &self.bytes,
            &self.reads,
            &self.evictions,
            &self.quota_entries,
            &self.quota_bytes,
        ]
    }

    fn fill(&self, cache: &Cache) {
        for (name, stats) in cache.namespaces() {
            let label = [label(&name)];
            self.entries.with_label_values(&label).set(gauge(stats.entries));
            self.bytes.with_label_values(&label).set(gauge(stats.bytes));
            self.reads.with_label_values(&[label[0], "hit"]).inc_by(stats.hits);
            self.reads.with_label_values(&[label[0], "miss"]).inc_by(stats.misses);
            self.evictions.with_label_values(&label).inc_by(stats.evictions);
        }
        for (name, bounds) in &*cache.quotas() {
            let label = [label(name)];
            let set = |figure: &IntGaugeVec, bound: Option<usize>| {
                if let Some(bound) = bound {
                    figure.with_label_values(&label).set(gauge(bound));
                }
            };
            set(&self.quota_entries, bounds.entries);
            set(&self.quota_bytes, bounds.bytes);
        }
    }
}

impl NamespaceCollector {
    pub(crate) fn register(cache: Arc<Cache>, registry: &Registry) {
        Metrics::new(registry).register(Self {
            cache,
            described: Figures::new(),
        });
    }
}

impl Collector for NamespaceCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.described.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let figures = Figures::new();
        figures.fill(&self.cache);
        figures.all().into_iter().flat_map(Collector::collect).collect()
    }
}

fn label(namespace: &str) -> &str {
    if namespace.is_empty() { DEFAULT_NAMESPACE } else { namespace }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use api::cache::{Lifetime, Packing};
    use store::cache::{Bounds, Condition, Key, Policy, Put, QuotaBounds};

    use super::*;

    #[test]
    fn each_namespace_has_its_series_and_a_quota_that_is_gone_has_none() {
        let cache = Arc::new(Cache::new(Bounds {
            entries: 1_000,
            bytes: 1 << 20,
            policy: Policy::Lru,
        }));
        let registry = Registry::new();
        NamespaceCollector::register(Arc::clone(&cache), &registry);
        let put = |version| Put {
            value: b"value",
            content_type: "",
            packing: Packing::Plain,
            lifetime: Lifetime::default(),
            version,
            condition: Condition::None,
        };
        let bounds = QuotaBounds {
            entries: Some(2),
            bytes: None,
        };
        cache.set_quotas([(Arc::from("tenant"), bounds)]);
        for (namespace, key) in [("tenant", "1"), ("tenant", "2"), ("tenant", "3"), ("", "4")] {
            cache.put(Key { namespace, key }, put(1), 0).expect("room");
        }
        for key in ["4", "5"] {
            drop(cache.get(Key { namespace: "", key }, 0));
        }
        let said = telemetry::render(&registry);
        for line in [
            "cache_namespace_entries{namespace=\"_default\"} 1",
            "cache_namespace_entries{namespace=\"tenant\"} 2",
            "cache_namespace_evictions_total{namespace=\"tenant\"} 1",
            "cache_namespace_quota_entries{namespace=\"tenant\"} 2",
            "cache_namespace_reads_total{namespace=\"_default\",result=\"hit\"} 1",
            "cache_namespace_reads_total{namespace=\"_default\",result=\"miss\"} 1",
        ] {
            assert!(said.lines().any(|found| found == line), "{line} is missing in\n{said}");
        }
        assert!(
            !said.contains("cache_namespace_quota_bytes"),
            "there is no such bound\n{said}"
        );
        cache.set_quotas([]);
        let said = telemetry::render(&registry);
        assert!(!said.contains("cache_namespace_quota_entries"), "{said}");
        assert!(said.contains("cache_namespace_entries{namespace=\"tenant\"} 2"), "{said}");
    }
}
