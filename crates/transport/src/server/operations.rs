//! `/health`, `/ready` and `/metrics`, the same on every node.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::RwLock;
use prometheus::Registry;

use crate::ApiError;

/// Whether a node may be sent work; clones share the answer. Not ready until told so.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<RwLock<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Starting,
    Ready,
    NotReady(String),
    Stopping,
}

impl State {
    fn trouble(&self) -> Option<&str> {
        match self {
            Self::Starting => Some("starting"),
            Self::Ready => None,
            Self::NotReady(reason) => Some(reason),
            Self::Stopping => Some("stopping"),
        }
    }

    /// What is found out while the node stops changes nothing.
    fn become_unless_stopping(&mut self, state: Self) {
        if !matches!(self, Self::Stopping) {
            *self = state;
        }
    }
}

impl Readiness {
    /// From now on work is welcome.
    pub fn ready(&self) {
        self.0.write().become_unless_stopping(State::Ready);
    }

    /// From now on it is not, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.0.write().become_unless_stopping(State::NotReady(reason.into()));
    }

    /// The node stops: work is not welcome any more.
    pub fn stop(&self) {
        *self.0.write() = State::Stopping;
    }

    /// Why it is not welcome, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.read().trouble().map(str::to_owned)
    }

    /// Whether work is welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.read().trouble().is_none()
    }
}

/// The three operational routes.
pub fn operations(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/health", get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) }))
        .route("/ready", get(move || async move { ready(&readiness) }))
        .route("/metrics", get(move || async move { metrics(&registry) }))
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.trouble() {
        None => axum::Json(serde_json::json!({ "status": "ready" })).into_response(),
        Some(reason) => ApiError::unavailable(format!("not ready: {reason}")).into_response(),
    }
}

fn metrics(registry: &Registry) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::render(registry),
    )
        .into_response()
}
