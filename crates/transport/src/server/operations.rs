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
#[derive(Debug, Clone)]
pub struct Readiness(Arc<RwLock<Result<(), String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Err("starting".to_owned()))))
    }
}

impl Readiness {
    /// From now on work is welcome.
    pub fn ready(&self) {
        *self.0.write() = Ok(());
    }

    /// From now on it is not, and why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        *self.0.write() = Err(reason.into());
    }

    /// Why it is not welcome, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.read().clone().err()
    }

    /// Whether work is welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.read().is_ok()
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
    match &*readiness.0.read() {
        Ok(()) => axum::Json(serde_json::json!({ "status": "ready" })).into_response(),
        Err(reason) => ApiError::unavailable(format!("not ready: {reason}")).into_response(),
    }
}

fn metrics(registry: &Registry) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::render(registry),
    )
        .into_response()
}
