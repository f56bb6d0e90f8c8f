//! The layers around every handler, in the one order in which they stand.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{ErrorCode, headers};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};
use telemetry::{LATENCY_BUCKETS, Metrics};
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error, info_span};

use crate::{ApiError, RequestId};

/// Figures of one listener.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGauge,
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
        }
    }
}

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct Layers {
    metrics: HttpMetrics,
    timeout: Duration,
    max_body_bytes: usize,
    in_flight: Arc<Semaphore>,
    token: Option<Arc<str>>,
}

impl Layers {
    /// Bounds of a public listener: `timeout` for a whole answer, at most `max_in_flight` requests at once.
    #[must_use]
    pub fn new(metrics: HttpMetrics, timeout: Duration, max_body_bytes: usize, max_in_flight: usize) -> Self {
        Self {
            metrics,
            timeout,
            max_body_bytes,
            in_flight: Arc::new(Semaphore::new(max_in_flight)),
            token: None,
        }
    }

    /// Makes it a private listener: `/internal` wants the cluster token.
    #[must_use]
    pub fn private(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Puts the layers around a router. The order, outermost first, and why:
    ///
    /// 1. *observe*: request id, span, metrics and catch-panic see everything, refusals included;
    /// 2. *shed*: over the bound of requests in flight, answer 503 at once rather than queue;
    /// 3. *deadline*: no request outlives it, however slow the client or the handler;
    /// 4. *body limit*: before anything reads the body;
    /// 5. *authenticate*: last, so that refusals are observed and bounded like all else. Peers' token here; users'
    ///    credentials take the same place.
    pub fn around(self, router: Router) -> Router {
        let state = Arc::new(self);
        router
            .method_not_allowed_fallback(|| async {
                ApiError::invalid("this path does not take this method; see /openapi.json")
                    .with_status(StatusCode::METHOD_NOT_ALLOWED)
            })
            .fallback(|| async { ApiError::not_found("there is nothing at this path; see /openapi.json") })
            .layer(from_fn_with_state(Arc::clone(&state), authenticate))
            .layer(DefaultBodyLimit::max(state.max_body_bytes))
            .layer(from_fn_with_state(Arc::clone(&state), shed_and_deadline))
            .layer(from_fn_with_state(state, observe))
    }
}

async fn observe(State(layers): State<Arc<Layers>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::accept(request.headers().get(headers::REQUEST_ID));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = info_span!("request", id = %id, method = %method, route);
    layers.metrics.in_flight.inc();
    let answer = AssertUnwindSafe(id.clone().scope(next.run(request)))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    layers.metrics.in_flight.dec();
    let mut response = answer.unwrap_or_else(|_| {
        let _entered = span.enter();
        error!("a handler panicked");
        ApiError::new(
            ErrorCode::Internal,
            "something broke on our side; the log has more under this request id",
        )
        .into_response()
    });
    response.headers_mut().insert(headers::REQUEST_ID, id.header().clone());
    let status = response.status();
    layers
        .metrics
        .requests
        .with_label_values(&[method.as_str(), route, status.as_str()])
        .inc();
    layers
        .metrics
        .duration
        .with_label_values(&[method.as_str(), route])
        .observe(started.elapsed().as_secs_f64());
    debug!(parent: &span, status = status.as_u16(), elapsed = ?started.elapsed(), "answered");
    response
}

async fn shed_and_deadline(State(layers): State<Arc<Layers>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = layers.in_flight.try_acquire() else {
        return ApiError::unavailable("this node is answering as many requests as it can; try again").into_response();
    };
    let timeout = layers.timeout + asked_wait(request.headers());
    let late = || {
        let detail = format!("no answer within {timeout:?}; the request may or may not have been executed");
        ApiError::new(ErrorCode::Timeout, detail).into_response()
    };
    tokio::time::timeout(timeout, next.run(request))
        .await
        .unwrap_or_else(|_| late())
}

/// Time a client is ready to wait for a result, on top of the usual deadline: `Prefer: wait=30` (RFC 7240), a minute at most.
fn asked_wait(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let wait = preferences
        .flat_map(|value| value.split([',', ';']))
        .find_map(|item| item.trim().strip_prefix("wait="));
    let seconds = wait.and_then(|seconds| seconds.trim().parse::<u64>().ok()).unwrap_or(0);
    Duration::from_secs(seconds.min(60))
}

async fn authenticate(State(layers): State<Arc<Layers>>, request: Request, next: Next) -> Response {
    if let Some(token) = &layers.token
        && request.uri().path().starts_with("/internal/")
        && !is_token(
            request
                .headers()
                .get(headers::CLUSTER_TOKEN)
                .map_or(&[], |sent| sent.as_bytes()),
            token,
        )
    {
        let detail = "this port is for nodes of the cluster: CLUSTER_TOKEN is missing or differs from this node's";
        return ApiError::new(ErrorCode::Unauthenticated, detail).into_response();
    }
    next.run(request).await
}

/// Whether `sent` is the token, in a time that does not depend on where they differ. An empty token admits nobody.
#[must_use]
pub fn is_token(sent: &[u8], token: &str) -> bool {
    let token = token.as_bytes();
    !token.is_empty() && sent.len() == token.len() && sent.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
