//! `/internal/v1/shuffle`: files as they are on disk, checksums included: whoever reads them checks.

use std::io;
use std::sync::Arc;

use api::JobId;
use api::task::TaskId;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use transport::{ApiError, ApiPath};

use crate::app::Worker;

const FRAMES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// One output of one task.
pub(super) async fn read(
    State(worker): State<Arc<Worker>>,
    ApiPath((job, stage, partition, attempt, output)): ApiPath<(JobId, u32, u32, u32, u32)>,
) -> Result<Response, ApiError> {
    let task = TaskId {
        job,
        stage,
        partition,
        attempt,
    };
    let (bytes, stream) = worker.open_output(&task, output).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ApiError::not_found(format!("there is no output {output} of task {task} here")),
        _ => ApiError::internal(&error),
    })?;
    let headers = [(CONTENT_TYPE, FRAMES), (CONTENT_LENGTH, HeaderValue::from(bytes))];
    Ok((headers, transport::streamed(stream)).into_response())
}
