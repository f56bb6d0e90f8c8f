//! The client and its policies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec, Registry};
use reqwest::Method;
use telemetry::Metrics;
use telemetry::traces::{ActiveSpan, Kind, TraceContext, Tracer};
use tls::Tls;

use super::breaker::Breaker;
use super::clocks::Clocks;
use super::http::Http;
use super::{BreakerPolicy, PeerError, PeerRequest};

/// How peers are called unless a request says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct PeerPolicy {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for a call, retries included.
    pub deadline: Duration,
    /// Idle connections kept to each peer.
    pub idle_connections: usize,
    /// The breaker of each peer.
    pub breaker: BreakerPolicy,
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(500),
            deadline: Duration::from_secs(5),
            idle_connections: 64,
            breaker: BreakerPolicy::default(),
        }
    }
}

/// Calls peers over pooled connections; clones share pool, breakers and figures.
#[derive(Debug, Clone)]
pub struct PeerClient {
    pub(crate) inner: Arc<Inner>,
    tracer: Tracer,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) http: Http,
    pub(crate) policy: PeerPolicy,
    pub(crate) token: String,
    breakers: Mutex<HashMap<String, Breaker>>,
    calls: IntCounterVec,
    open: IntGaugeVec,
    pub(super) clocks: Clocks,
}

impl PeerClient {
    /// A client that authenticates with the cluster token, over plain connections.
    #[must_use]
    pub fn new(token: &str, policy: PeerPolicy, registry: &Registry) -> Self {
        Self::encrypted(token, policy, None, registry)
    }

    /// A client that speaks TLS to all peers when it is given an identity to show, and believes only peers whose certificates name
    /// the host they are called by.
    ///
    /// # Panics
    /// When the HTTP client cannot be set up, which with these constant options is a bug.
    #[must_use]
    pub fn encrypted(token: &str, policy: PeerPolicy, tls: Option<Tls>, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let inner = Inner {
            http: Http::new(policy, tls),
            policy,
            token: token.to_owned(),
            breakers: Mutex::default(),
            calls: metrics.counters(
                "peer_requests_total",
                "Calls to peers, attempts counted one by one.",
                &["peer", "result"],
            ),
            open: metrics.int_gauges(
                "peer_breaker_open",
                "1 while the circuit breaker of a peer is open.",
                &["peer"],
            ),
            clocks: Clocks::new(&metrics),
        };
        Self {
            inner: Arc::new(inner),
            tracer: Tracer::default(),
        }
    }

    /// Records calls for requests that are traced; clones made from now on do so too.
    #[must_use]
    pub fn traced(mut self, tracer: &Tracer) -> Self {
        self.tracer = tracer.clone();
        self
    }

    /// What records its calls.
    #[must_use]
    pub const fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// The span of a call, when it is made for a request that is recorded.
    pub(crate) fn span(&self, parent: Option<TraceContext>, name: &'static str, peer: &str) -> Option<ActiveSpan> {
        let mut span = self.tracer.follow(parent, Kind::Client, name)?;
        match peer.rsplit_once(':') {
            Some((host, port)) => {
                span.set("server.address", host.to_owned());
                span.set("server.port", port.parse::<u16>().unwrap_or_default());
            }
            None => span.set("server.address", peer.to_owned()),
        }
        Some(span)
    }

    /// A call of `path` (with its leading `/`) on `peer` (`host:port`).
    pub fn request(&self, method: Method, peer: &str, path: &str) -> PeerRequest {
        PeerRequest::new(self.clone(), method, peer, path)
    }

    /// A `GET`.
    pub fn get(&self, peer: &str, path: &str) -> PeerRequest {
        self.request(Method::GET, peer, path)
    }

    /// A `POST`.
    pub fn post(&self, peer: &str, path: &str) -> PeerRequest {
        self.request(Method::POST, peer, path)
    }

    /// Forgets the breakers and figures of peers that are not known any more: a node that left while its breaker was open
    /// must not look broken for ever.
    pub fn retain(&self, known: impl Fn(&str) -> bool) {
        self.inner.clocks.retain(&known);
        let mut breakers = self.inner.breakers.lock();
        let gone: Vec<String> = breakers.keys().filter(|peer| !known(peer)).cloned().collect();
        for peer in gone {
            breakers.remove(&peer);
            // A series that was never made is not there to be removed, which is what is wanted.
            self.inner.open.remove_label_values(&[&peer]).ok();
        }
    }
}

impl Inner {
    /// Who this node is to peers, if it speaks TLS to them.
    pub(crate) const fn tls(&self) -> Option<&Tls> {
        self.http.tls()
    }

    /// Fails at once while the peer's breaker is open.
    pub(crate) fn admit(&self, peer: &str) -> Result<(), PeerError> {
        let mut breakers = self.breakers.lock();
        let Some(breaker) = breakers.get_mut(peer) else {
            return Ok(());
        };
        if breaker.allow(Instant::now(), self.policy.breaker) {
            return Ok(());
        }
        self.calls.with_label_values(&[peer, "rejected"]).inc();
        Err(PeerError::Unreachable {
            peer: peer.to_owned(),
            detail: "its circuit breaker is open".to_owned(),
        })
    }

    /// Tells the breaker and the figures how an attempt ended.
    pub(crate) fn record<T>(&self, peer: &str, outcome: &Result<T, PeerError>) {
        let failed = outcome.as_ref().is_err_and(PeerError::is_peer_failure);
        self.calls
            .with_label_values(&[peer, if failed { "failed" } else { "answered" }])
            .inc();
        let mut breakers = self.breakers.lock();
        if failed {
            let breaker = breakers.entry(peer.to_owned()).or_default();
            breaker.failed(Instant::now(), self.policy.breaker);
            self.open.with_label_values(&[peer]).set(i64::from(breaker.is_open()));
        } else if let Some(breaker) = breakers.get_mut(peer) {
            breaker.succeeded();
            self.open.with_label_values(&[peer]).set(0);
        }
    }
}
