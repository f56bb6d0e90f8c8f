//! Metric registries and their text form.

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};
use prometheus::{Opts, Registry, TextEncoder};

/// Bounds in seconds for anything a client waits for: 50 µs to 10 s.
pub const LATENCY_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A registry with the figures every process has: CPU, memory, descriptors, and `server_uptime_seconds`.
#[must_use]
pub fn new_registry() -> Registry {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry);
    metrics.register(ProcessCollector::for_self());
    let started = Instant::now();
    let uptime = metrics.gauge("server_uptime_seconds", "Seconds since this node started.");
    metrics.register(Uptime { gauge: uptime, started });
    registry
}

/// Everything in the registry, in Prometheus' text format.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics cannot be encoded");
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Makes metrics and registers them in one step, which is the only way that code here makes metrics: names are constants
/// in the source, so a clash is a bug that the first test of the node shows by panicking.
#[derive(Debug, Clone, Copy)]
pub struct Metrics<'a> {
    registry: &'a Registry,
}

impl<'a> Metrics<'a> {
    /// Registers in this registry.
    #[must_use]
    pub const fn new(registry: &'a Registry) -> Self {
        Self { registry }
    }

    /// Registers a collector made elsewhere.
    ///
    /// # Panics
    /// When a metric of that name is there already.
    pub fn register(&self, collector: impl Collector + 'static) {
        self.registry
            .register(Box::new(collector))
            .expect("metric names are constants and unique");
    }

    /// A counter.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::new(name, help))
    }

    /// Counters by labels.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A whole number that goes up and down.
    #[must_use]
    pub fn int_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::new(name, help))
    }

    /// Whole numbers by labels.
    #[must_use]
    pub fn int_gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// Numbers by labels.
    #[must_use]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.registered(GaugeVec::new(Opts::new(name, help), labels))
    }

    /// A distribution.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    /// Distributions by labels.
    #[must_use]
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        self.registered(HistogramVec::new(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
            labels,
        ))
    }

    /// A number that is not registered yet: its collector fills it in when asked.
    fn gauge(&self, name: &str, help: &str) -> Gauge {
        Gauge::new(name, help).expect("metric names are constants and valid")
    }

    fn registered<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("metric names are constants and valid");
        self.register(metric.clone());
        metric
    }
}

/// Computes the uptime when it is asked for.
struct Uptime {
    gauge: Gauge,
    started: Instant,
}

impl Collector for Uptime {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.gauge.set(self.started.elapsed().as_secs_f64());
        self.gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_one_process_do_not_share_figures() {
        let (one, two) = (new_registry(), new_registry());
        Metrics::new(&one).counter("things_total", "Things.").inc();
        Metrics::new(&two).counter("things_total", "Things.").inc_by(5);
        assert!(render(&one).contains("things_total 1\n"));
        assert!(render(&two).contains("things_total 5\n"));
        assert!(render(&one).contains("server_uptime_seconds "));
    }
}
