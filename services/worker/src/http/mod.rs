//! The worker's HTTP surface: shuffle files, and what every node shows.

mod shuffle;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use telemetry::Registry;
use transport::server::{Readiness, operations};

use crate::app::Worker;

/// What nodes of the cluster may ask.
pub(crate) fn routes(worker: Arc<Worker>, registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route(
            "/internal/v1/shuffle/{job}/{stage}/{partition}/{attempt}/{output}",
            get(shuffle::read),
        )
        .with_state(worker)
        .merge(operations(registry, readiness))
}
