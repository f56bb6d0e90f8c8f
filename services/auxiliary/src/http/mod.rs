//! The auxiliary's HTTP surface: extract, call a use case, map, return. No business rule lives here.

mod blobs;
mod cache;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use telemetry::Registry;
use transport::server::{Readiness, operations};

use crate::app::App;

/// What nodes of the cluster may ask.
pub(crate) fn routes(app: Arc<App>, registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/internal/v1/cache/batch", post(cache::batch))
        .route("/internal/v1/blobs", get(blobs::list))
        .route(
            "/internal/v1/blobs/{*name}",
            get(blobs::read).head(blobs::stat).put(blobs::write).delete(blobs::remove),
        )
        .with_state(app)
        .merge(operations(registry, readiness))
}
