//! `GET /cluster/snapshot`: the whole control store as a file.

use api::Problem;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use transport::ApiError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(snapshot))
}

/// The control store as it is now, in a file that `elasticore cluster restore` reads. `ETag` is the revision. The file
/// checks itself: a connection that breaks leaves one that is refused.
#[utoipa::path(get, operation_id = "cluster_snapshot", path = "/cluster/snapshot", tag = "operations",
    responses((status = 200, description = "The file", content_type = "application/octet-stream"),
        (status = 409, body = Problem, description = "The control store is etcd's"), (status = 503, body = Problem)))]
async fn snapshot(State(app): State<AppState>) -> Result<Response, ApiError> {
    let export = app.cluster.snapshot().await?;
    let revision = export.revision;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (ETAG, super::kv::tag(revision)),
        (CONTENT_DISPOSITION, name(revision)),
    ];
    Ok((headers, transport::streamed(export.body)).into_response())
}

fn name(revision: u64) -> HeaderValue {
    let text = format!("attachment; filename=\"elasticore-{revision}.snapshot\"");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}
