//! `/internal/v1/blobs`: immutable, named, streamed both ways.

use std::sync::Arc;

use api::ErrorCode;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::blob::{BlobInfo, BlobName, Error};
use transport::{ApiError, ApiPath, ApiQuery};

use crate::app::App;

/// A blob as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    name: String,
    bytes: u64,
    crc32c: u32,
}

/// Names of blobs.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    items: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    prefix: String,
}

pub(super) async fn write(
    State(app): State<Arc<App>>,
    ApiPath(name): ApiPath<String>,
    body: Body,
) -> Result<(StatusCode, Json<Shown>), ApiError> {
    let written = async { app.blobs.put(&BlobName::try_new(name)?, body.into_data_stream()).await };
    let BlobInfo { name, bytes, crc32c } = counted(&app, "put", written.await)?;
    Ok((
        StatusCode::CREATED,
        Json(Shown {
            name: name.to_string(),
            bytes,
            crc32c,
        }),
    ))
}

pub(super) async fn read(State(app): State<Arc<App>>, ApiPath(name): ApiPath<String>) -> Result<Response, ApiError> {
    let opened = async { app.blobs.get(&BlobName::try_new(name)?).await };
    let reader = counted(&app, "get", opened.await)?;
    let info = reader.info();
    Ok(described(&info, Body::from_stream(reader.into_stream())))
}

pub(super) async fn stat(State(app): State<Arc<App>>, ApiPath(name): ApiPath<String>) -> Result<Response, ApiError> {
    let looked_up = async { app.blobs.stat(&BlobName::try_new(name)?).await };
    let info = counted(&app, "stat", looked_up.await)?;
    Ok(described(&info, Body::empty()))
}

pub(super) async fn remove(State(app): State<Arc<App>>, ApiPath(name): ApiPath<String>) -> Result<StatusCode, ApiError> {
    let removed = async { app.blobs.delete(&BlobName::try_new(name)?).await };
    match counted(&app, "delete", removed.await)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("there is no blob of this name here")),
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, ApiQuery(query): ApiQuery<ListQuery>) -> Result<Json<Listing>, ApiError> {
    let names = counted(&app, "list", app.blobs.list(&query.prefix).await)?;
    Ok(Json(Listing {
        items: names.iter().map(ToString::to_string).collect(),
    }))
}

/// Length and checksum as headers: a reader compares what came with what was announced.
fn described(info: &BlobInfo, body: Body) -> Response {
    let checksum = HeaderValue::from_str(&format!("\"{:08x}\"", info.crc32c)).unwrap_or(HeaderValue::from_static("\"\""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CONTENT_LENGTH, HeaderValue::from(info.bytes)),
        (ETAG, checksum),
    ];
    (headers, body).into_response()
}

fn counted<T>(app: &App, operation: &str, outcome: Result<T, Error>) -> Result<T, ApiError> {
    let result = match &outcome {
        Ok(_) => "ok",
        Err(Error::NotFound(_)) => "miss",
        Err(_) => "error",
    };
    app.blob_operations.with_label_values(&[operation, result]).inc();
    outcome.map_err(|error| refusal(&error))
}

fn refusal(error: &Error) -> ApiError {
    match error {
        Error::InvalidName { .. } => ApiError::invalid(error.to_string()),
        Error::NotFound(_) => ApiError::not_found(error.to_string()),
        Error::Exists(_) => ApiError::new(ErrorCode::Conflict, error.to_string()),
        Error::Source { .. } => ApiError::invalid(format!("{error}; nothing was stored, send it again")),
        Error::Damaged { .. } => {
            tracing::error!(%error, "a blob is damaged");
            ApiError::new(ErrorCode::Internal, error.to_string())
        }
        Error::InUse(_) | Error::Io { .. } => ApiError::internal(error),
    }
}
