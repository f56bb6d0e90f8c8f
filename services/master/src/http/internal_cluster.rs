//! What the leader asks every master, on the private port.

use api::cache::MasterStatus;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/internal/v1/cluster/status", get(status))
}

/// The ring it routes by, and whom it cannot reach.
async fn status(State(app): State<AppState>) -> Json<MasterStatus> {
    Json(MasterStatus {
        epoch: app.nodes.snapshot().epoch(),
        unreachable: app.reach.unreachable(),
    })
}
