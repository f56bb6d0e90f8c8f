//! Figures about any store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prometheus::{HistogramVec, IntCounterVec, Registry};
use telemetry::{LATENCY_BUCKETS, Metrics};

use crate::types::{Consistency, KeyValue, Lease, LeaseId, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{ControlStore, Error, Result, Watch};

/// A store whose calls are counted and timed.
#[derive(Debug)]
pub struct Instrumented {
    inner: Arc<dyn ControlStore>,
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl Instrumented {
    /// Around a store.
    #[must_use]
    pub fn new(inner: Arc<dyn ControlStore>, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            inner,
            requests: metrics.counters(
                "control_store_requests_total",
                "Calls to the control store.",
                &["operation", "result"],
            ),
            duration: metrics.histograms(
                "control_store_request_duration_seconds",
                "Time a call to the control store took; of a watch, until it stood.",
                &["operation"],
                LATENCY_BUCKETS,
            ),
        }
    }

    async fn observe<T>(&self, operation: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let outcome = call.await;
        self.duration
            .with_label_values(&[operation])
            .observe(started.elapsed().as_secs_f64());
        self.requests.with_label_values(&[operation, label(&outcome)]).inc();
        outcome
    }
}

const fn label<T>(outcome: &Result<T>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(Error::Unavailable(_)) => "unavailable",
        Err(Error::Timeout(_)) => "timeout",
        Err(Error::LeaseNotFound) => "lease_not_found",
        Err(Error::Compacted { .. }) => "compacted",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::QuotaExceeded { .. }) => "quota_exceeded",
        Err(Error::Damaged(_)) => "damaged",
        Err(Error::NotFound(_)) => "not_found",
        Err(Error::Conflict(_)) => "conflict",
    }
}

#[async_trait]
impl ControlStore for Instrumented {
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse> {
        self.observe("range", self.inner.range(range, consistency)).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        self.observe("txn", self.inner.txn(txn)).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        self.observe("lease_grant", self.inner.lease_grant(ttl)).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        self.observe("keep_alive", self.inner.keep_alive(lease)).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        self.observe("revoke", self.inner.revoke(lease)).await
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        self.observe("watch", self.inner.watch(prefix, from)).await
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        self.observe("get", self.inner.get(key, consistency)).await
    }

    fn masters(&self) -> Vec<String> {
        self.inner.masters()
    }
}
