//! What is counted of certificates and handshakes.

use std::time::SystemTime;

use prometheus::{GaugeVec, IntCounterVec, Registry};
use telemetry::Metrics;

use crate::Identity;

/// Figures of a node; one set for all its certificates and listeners.
#[derive(Debug, Clone)]
pub struct Figures {
    expiry: GaugeVec,
    reloads: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) ended: IntCounterVec,
}

impl Figures {
    /// Registers them.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            expiry: metrics.gauges(
                "tls_certificate_expiry_timestamp_seconds",
                "When a certificate in use ends: the node's own, the one it shows etcd, and of the trusted authorities the first to end.",
                &["role"],
            ),
            reloads: metrics.counters(
                "tls_reloads_total",
                "Changes of certificate files that were seen: taken, or failed and left as they were.",
                &["role", "result"],
            ),
            refused: metrics.counters(
                "tls_handshakes_refused_total",
                "Connections refused because they did not become encrypted ones, by reason.",
                &["reason"],
            ),
            ended: metrics.counters(
                "tls_connections_ended_total",
                "Open connections that were ended because the certificate of their peer has expired, or its authority is trusted no longer.",
                &["reason"],
            ),
        }
    }

    pub(crate) fn shows(&self, role: &str, identity: &Identity) {
        let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let own = self.expiry.with_label_values(&[role]);
        own.set(seconds(identity.facts().not_after));
        let first = identity.authorities().iter().map(|authority| authority.not_after).min();
        if let Some(first) = first {
            self.expiry
                .with_label_values(&[&format!("{role}-authority")])
                .set(seconds(first));
        }
    }

    pub(crate) fn reloaded(&self, role: &str, taken: bool) {
        let result = if taken { "taken" } else { "failed" };
        self.reloads.with_label_values(&[role, result]).inc();
    }
}
