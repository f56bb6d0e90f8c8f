//! The auxiliary's HTTP surface: extract, call a use case, map, return. No business rule lives here.

mod blobs;
mod manage;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use telemetry::Registry;
use transport::server::{Readiness, operations};

use crate::app::App;

/// Contents of blobs take as long as they are large; both sides give up when nothing comes any more.
pub(crate) fn is_unhurried(_: &Method, path: &str) -> bool {
    path.starts_with("/internal/v1/blob")
}

/// What nodes of the cluster may ask.
pub(crate) fn routes(app: Arc<App>, frames: Router, registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/internal/v1/cache/status", get(manage::status))
        .route("/internal/v1/cache/digest", get(manage::agreement))
        .route("/internal/v1/cache/namespaces", get(manage::namespaces))
        .route("/internal/v1/cache/events", get(manage::events))
        .route("/internal/v1/cache/delete_prefix", post(manage::delete_prefix))
        .route("/internal/v1/cache/clear", post(manage::clear))
        .route("/internal/v1/cache/backup", post(manage::backup))
        .route("/internal/v1/cache/backups", get(manage::backups))
        .route("/internal/v1/cache/restore", post(manage::restore))
        .route("/internal/v1/blobs", get(blobs::list))
        .route("/internal/v1/blob-check", post(blobs::check))
        .route(
            "/internal/v1/blobs/{*name}",
            get(blobs::read).head(blobs::stat).put(blobs::write).delete(blobs::remove),
        )
        .with_state(app)
        .merge(frames)
        .merge(operations(registry, readiness))
}
