//! `/internal/v1/blobs`: immutable, named, streamed both ways.

use std::sync::Arc;

use api::ErrorCode;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use blobs::holder::{BLOB_BYTES, Check, Checked, Held, MAX_NAMES, Named, Page, parse_range, tag};
use futures::TryStreamExt;
use serde::Deserialize;
use store::blob::{BlobInfo, BlobName, Error};
use transport::{ApiError, ApiJson, ApiPath, ApiQuery};

use crate::app::App;
use crate::app::blobs::WriteError;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteQuery {
    /// Stored here alone: the caller sees to the other copies.
    #[serde(default)]
    copy: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn write(
    State(app): State<Arc<App>>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(query): ApiQuery<WriteQuery>,
    body: Body,
) -> Result<(StatusCode, Json<Held>), ApiError> {
    let content = transport::upload(body);
    let written = async {
        let name = BlobName::try_new(name)?;
        match query.copy {
            true => Ok(app.blobs.store.put(&name, content).await?),
            false => app.blobs.write(&name, content).await,
        }
    };
    let written = written.await;
    count(&app, "put", if written.is_ok() { "ok" } else { "error" });
    let info = written.map_err(|error| not_written(&app, &error))?;
    Ok((StatusCode::CREATED, Json(held(info))))
}

pub(super) async fn read(
    State(app): State<Arc<App>>,
    ApiPath(name): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let opened = async { app.blobs.store.get(&BlobName::try_new(name)?).await };
    let reader = counted(&app, "get", opened.await)?;
    let info = reader.info();
    let asked = headers.get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let range = parse_range(asked, info.bytes).map_err(|start| {
        let detail = format!("blob {} has {} bytes; there is nothing at {start}", info.name, info.bytes);
        ApiError::invalid(detail).with_status(StatusCode::RANGE_NOT_SATISFIABLE)
    })?;
    let (status, range) = match range {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..info.bytes),
    };
    let mut response = described(&info, range.end - range.start);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", range.start, range.end - 1, info.bytes);
        response.insert(CONTENT_RANGE, text(&range));
    }
    let blobs = Arc::clone(&app.blobs);
    let content = reader.into_range(range).inspect_err(move |error| blobs.noticed(error));
    Ok((status, response, transport::streamed(content)).into_response())
}

pub(super) async fn stat(State(app): State<Arc<App>>, ApiPath(name): ApiPath<String>) -> Result<Response, ApiError> {
    let looked_up = async { app.blobs.store.stat(&BlobName::try_new(name)?).await };
    let info = counted(&app, "stat", looked_up.await)?;
    Ok((described(&info, info.bytes), Body::empty()).into_response())
}

pub(super) async fn remove(State(app): State<Arc<App>>, ApiPath(name): ApiPath<String>) -> Result<StatusCode, ApiError> {
    let removed = async { app.blobs.store.delete(&BlobName::try_new(name)?).await };
    match counted(&app, "delete", removed.await)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("there is no blob of this name here")),
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, ApiQuery(query): ApiQuery<ListQuery>) -> Json<Page> {
    let limit = query.limit.unwrap_or(MAX_NAMES).clamp(1, MAX_NAMES);
    let listed = app.blobs.store.list(&query.prefix, query.after.as_deref(), limit);
    count(&app, "list", "ok");
    let next = listed
        .last()
        .filter(|_| listed.len() == limit)
        .map(|last| last.name.to_string());
    let items = listed.into_iter().map(|blob| Named {
        name: blob.name.to_string(),
        bytes: blob.bytes,
    });
    Json(Page {
        items: items.collect(),
        next,
    })
}

pub(super) async fn check(
    State(app): State<Arc<App>>,
    ApiJson(Check { names, thorough }): ApiJson<Check>,
) -> Result<Json<Checked>, ApiError> {
    if names.len() > MAX_NAMES {
        return Err(ApiError::invalid(format!("at most {MAX_NAMES} names may be checked at once")));
    }
    let store = &app.blobs.store;
    let mut found = Vec::new();
    for name in names {
        let name = BlobName::try_new(name).map_err(|error| refusal(&app, &error))?;
        let info = if thorough {
            store.verify(&name).await
        } else {
            store.stat(&name).await
        };
        match info {
            Ok(info) => found.push(held(info)),
            Err(Error::NotFound(_)) => {}
            Err(error) => app.blobs.noticed(&error),
        }
    }
    count(&app, "check", "ok");
    Ok(Json(Checked { held: found }))
}

/// Size and checksum as headers: a reader compares what came with what was announced.
fn described(info: &BlobInfo, length: u64) -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (CONTENT_LENGTH, HeaderValue::from(length)),
        (HeaderName::from_static(BLOB_BYTES), HeaderValue::from(info.bytes)),
        (ETAG, text(&tag(info.crc32c))),
    ])
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

fn held(info: BlobInfo) -> Held {
    Held {
        name: info.name.to_string(),
        bytes: info.bytes,
        crc32c: info.crc32c,
    }
}

fn count(app: &App, operation: &str, result: &str) {
    app.blobs.metrics.operations.with_label_values(&[operation, result]).inc();
}

fn counted<T>(app: &App, operation: &str, outcome: Result<T, Error>) -> Result<T, ApiError> {
    let result = match &outcome {
        Ok(_) => "ok",
        Err(Error::NotFound(_)) => "miss",
        Err(_) => "error",
    };
    count(app, operation, result);
    outcome.map_err(|error| refusal(app, &error))
}

fn not_written(app: &App, error: &WriteError) -> ApiError {
    match error {
        WriteError::Here(error) => refusal(app, error),
        _ => ApiError::unavailable(error.to_string()),
    }
}

fn refusal(app: &App, error: &Error) -> ApiError {
    match error {
        Error::InvalidName { .. } => ApiError::invalid(error.to_string()),
        Error::NotFound(_) => ApiError::not_found(error.to_string()),
        Error::Exists(_) => ApiError::new(ErrorCode::Conflict, error.to_string()),
        Error::Source { .. } => ApiError::invalid(format!("{error}; nothing was stored, send it again")),
        Error::NoSpace(why) => {
            let node = app.owner.id();
            tracing::warn!(why, "a blob was refused");
            ApiError::unavailable(format!("{} on node {node}: {why}", blobs::holder::NO_SPACE))
        }
        Error::Damaged { .. } => {
            app.blobs.noticed(error);
            ApiError::new(ErrorCode::Internal, error.to_string())
        }
        Error::InUse(_) | Error::Io { .. } => ApiError::internal(error),
    }
}
