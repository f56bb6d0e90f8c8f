//! What a listener counts of its requests.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};
use telemetry::{LATENCY_BUCKETS, Metrics};

use crate::current::Asked;

/// Series a route keeps at hand; it has a method and some statuses.
const AT_HAND: usize = 8;

/// Figures of one listener.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    pub(super) in_flight: IntGauge,
    pub(super) connections: ConnectionMetrics,
}

/// Figures of the connections of a node's listeners.
#[derive(Debug, Clone)]
pub(super) struct ConnectionMetrics {
    pub(super) open: IntGauge,
    pub(super) closed: IntCounterVec,
}

impl HttpMetrics {
    /// Registers them; a node with two listeners shares one set.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            requests: metrics.counters("http_requests_total", "Requests answered.", &["method", "route", "status"]),
            duration: metrics.histograms(
                "http_request_duration_seconds",
                "Time from the request's headers to the answer's headers.",
                &["method", "route"],
                LATENCY_BUCKETS,
            ),
            in_flight: metrics.int_gauge("http_requests_in_flight", "Requests being answered."),
            connections: ConnectionMetrics {
                open: metrics.int_gauge("http_connections", "Open connections."),
                closed: metrics.counters(
                    "http_connections_closed_total",
                    "Connections closed on clients: no_room for idle ones, slow_request, slow_reader.",
                    &["reason"],
                ),
            },
        }
    }

    fn series(&self, method: &Method, route: &str, status: StatusCode) -> Series {
        Series {
            method: method.clone(),
            status,
            requests: self.requests.with_label_values(&[method.as_str(), route, status.as_str()]),
            duration: self.duration.with_label_values(&[method.as_str(), route]),
        }
    }
}

/// The series of one route: looked up by their labels once, then kept at hand.
#[derive(Debug, Default)]
pub(super) struct RouteFigures {
    route: OnceLock<Box<str>>,
    at_hand: [OnceLock<Series>; AT_HAND],
}

#[derive(Debug)]
struct Series {
    method: Method,
    status: StatusCode,
    requests: IntCounter,
    duration: Histogram,
}

impl RouteFigures {
    /// Counts a request that was answered. All requests of a route come with the same `route`; should one not, it is
    /// counted under its own, only slower.
    pub(super) fn answered(&self, metrics: &HttpMetrics, asked: &Asked, status: StatusCode, took: Duration) {
        let (method, route) = (&asked.method, asked.route());
        if **self.route.get_or_init(|| route.into()) == *route {
            for place in &self.at_hand {
                let series = place.get_or_init(|| metrics.series(method, route, status));
                if series.status == status && series.method == *method {
                    return series.answered(took);
                }
            }
        }
        metrics.series(method, route, status).answered(took);
    }
}

impl Series {
    fn answered(&self, took: Duration) {
        self.requests.inc();
        self.duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_counted_under_its_own_labels_however_many_there_are() {
        let registry = telemetry::new_registry();
        let (metrics, figures) = (HttpMetrics::new(&registry), RouteFigures::default());
        let statuses = (200..200 + 2 * AT_HAND as u16).map(|status| StatusCode::from_u16(status).unwrap());
        let statuses: Vec<StatusCode> = statuses.collect();
        for method in [Method::GET, Method::PUT] {
            let asked = Asked::new(method, None);
            for status in statuses.iter().chain(&statuses) {
                figures.answered(&metrics, &asked, *status, Duration::from_millis(1));
            }
        }
        let text = telemetry::render(&registry);
        for method in ["GET", "PUT"] {
            for status in &statuses {
                let status = status.as_str();
                let line = format!(r#"http_requests_total{{method="{method}",route="unmatched",status="{status}"}} 2"#);
                assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
            }
            let count = 2 * statuses.len();
            let line = format!(r#"http_request_duration_seconds_count{{method="{method}",route="unmatched"}} {count}"#);
            assert!(text.contains(&line), "{line} is not in {text}");
        }
    }
}
