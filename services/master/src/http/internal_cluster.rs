//! What masters ask each other, on the private port.

use api::cache::MasterStatus;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/internal/v1/cluster/status", get(status))
}

/// The ring it routes by, whom it cannot reach, and if it leads, which workers it leaves out.
async fn status(State(app): State<AppState>) -> Json<MasterStatus> {
    Json(MasterStatus {
        epoch: app.nodes.snapshot().epoch(),
        unreachable: app.reach.unreachable(),
        workers_left_out: app.jobs.left_out_here(),
    })
}
