//! The layers around every handler, in the one order in which they stand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::{ErrorCode, headers};
use axum::Router;
use axum::body::HttpBody;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::routing::Route;
use telemetry::traces::Tracer;
use tower::layer::layer_fn;

use super::answering::Layered;
use super::gate::{Admission, Gate};
use super::metrics::HttpMetrics;
use crate::ApiError;
use crate::current::Current;

const CLUSTER_TOKEN: HeaderName = HeaderName::from_static(headers::CLUSTER_TOKEN);
/// For requests that are bounded otherwise.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a listener allows.
#[derive(Debug)]
pub struct Layers {
    pub(super) metrics: HttpMetrics,
    timeout: Duration,
    max_body_bytes: usize,
    max_in_flight: usize,
    in_flight: AtomicUsize,
    token: Option<Box<str>>,
    gate: Option<Arc<dyn Gate>>,
    unhurried: fn(&Method, &str) -> bool,
    pub(super) tracer: Tracer,
    pub(super) precious: fn(&Method, &str) -> bool,
}

impl Layers {
    /// Bounds of a public listener: `timeout` for a whole answer, at most `max_in_flight` requests at once.
    #[must_use]
    pub fn new(metrics: HttpMetrics, timeout: Duration, max_body_bytes: usize, max_in_flight: usize) -> Self {
        telemetry::set_log_context(Current::log_context);
        Self {
            metrics,
            timeout,
            max_body_bytes,
            max_in_flight,
            in_flight: AtomicUsize::new(0),
            token: None,
            gate: None,
            unhurried: |_, _| false,
            tracer: Tracer::default(),
            precious: |_, _| false,
        }
    }

    /// Requests, by method and path, that take as long as their bodies do. They have to end by themselves when nothing comes any
    /// more.
    #[must_use]
    pub fn unhurried(mut self, which: fn(&Method, &str) -> bool) -> Self {
        self.unhurried = which;
        self
    }

    /// Records what is traced. Requests that are `precious`, by method and path, are exempt from the share that is.
    #[must_use]
    pub fn traced(mut self, tracer: &Tracer, precious: fn(&Method, &str) -> bool) -> Self {
        self.tracer = tracer.clone();
        self.precious = precious;
        self
    }

    /// Whether only nodes of the cluster ask here.
    pub(super) const fn is_private(&self) -> bool {
        self.token.is_some()
    }

    /// Makes it a private listener: `/internal` wants the cluster token.
    #[must_use]
    pub fn private(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Asks this of every request that is not shed.
    #[must_use]
    pub fn gated(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Puts the layers around a router. The order, outermost first, and why:
    ///
    /// 1. *observe*: request id, trace, log lines, metrics and catch-panic see everything, refusals included;
    /// 2. *shed*: over the bound of requests in flight, answer 503 at once rather than queue;
    /// 3. *deadline*: no request outlives it, however slow the client or the handler;
    /// 4. *body limit*: before anything reads the body;
    /// 5. *authenticate*: last, so that refusals are observed and bounded like all else. The token of peers on private
    ///    listeners; on public ones a [`Gate`].
    ///
    /// All five are one service, `Layered`, since every service of its own costs a request two or three allocations.
    pub fn around(self, router: Router) -> Router {
        let layers = Arc::new(self);
        let layered = router
            .method_not_allowed_fallback(|| async {
                ApiError::invalid("this path does not take this method; see /openapi.json")
                    .with_status(StatusCode::METHOD_NOT_ALLOWED)
            })
            .fallback(|| async { ApiError::not_found("there is nothing at this path; see /openapi.json") })
            .layer(layer_fn(move |route: Route| Layered::new(Arc::clone(&layers), route)));
        // Without this, handlers would be made into services, and layered, again for every request.
        layered.with_state(())
    }

    /// *Shed* and *authenticate*, and the *body limit*: what is decided before the handler is called.
    pub(super) fn admit(&self, request: &mut Request) -> Admission {
        match self.admit_all(request) {
            Err(refusal) => {
                let denied = refusal.code == ErrorCode::Unauthenticated;
                if let Some(gate) = self.gate.as_ref().filter(|_| denied) {
                    gate.turned_away(request, &refusal);
                }
                Admission::refused(refusal)
            }
            Ok(()) => self.gate.as_ref().map_or_else(Admission::granted, |gate| gate.admit(request)),
        }
    }

    fn admit_all(&self, request: &mut Request) -> Result<(), ApiError> {
        // The request in question is among them.
        if self.in_flight.load(Ordering::Relaxed) > self.max_in_flight {
            return Err(ApiError::unavailable(
                "this node is answering as many requests as it can; try again",
            ));
        }
        if !request.body().is_end_stream() {
            DefaultBodyLimit::max(self.max_body_bytes).apply(request);
        }
        let Some(token) = &self.token else {
            return Ok(());
        };
        let sent = request.headers().get(CLUSTER_TOKEN).map_or(&[][..], |sent| sent.as_bytes());
        if request.uri().path().starts_with("/internal/") && !is_token(sent, token) {
            let detail = "this port is for nodes of the cluster: CLUSTER_TOKEN is missing or differs from this node's";
            return Err(ApiError::new(ErrorCode::Unauthenticated, detail));
        }
        Ok(())
    }

    /// The *deadline*, counted from the request's headers.
    pub(super) fn timeout(&self, request: &Request) -> Duration {
        if (self.unhurried)(request.method(), request.uri().path()) {
            return FOREVER;
        }
        self.timeout + asked_wait(request.headers())
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.metrics.in_flight.inc();
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.metrics.in_flight.dec();
    }
}

/// Time a client is ready to wait for a result, on top of the usual deadline: `Prefer: wait=30` (RFC 7240), a minute at most.
fn asked_wait(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all(PREFER).into_iter().filter_map(|value| value.to_str().ok());
    let wait = preferences
        .flat_map(|value| value.split([',', ';']))
        .find_map(|item| item.trim().strip_prefix("wait="));
    let seconds = wait.and_then(|seconds| seconds.trim().parse::<u64>().ok()).unwrap_or(0);
    Duration::from_secs(seconds.min(60))
}

/// Whether `sent` is the token, in a time that does not depend on where they differ. An empty token admits nobody.
#[must_use]
pub fn is_token(sent: &[u8], token: &str) -> bool {
    let token = token.as_bytes();
    !token.is_empty() && sent.len() == token.len() && sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
