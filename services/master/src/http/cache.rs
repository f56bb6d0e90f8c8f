//! `/cache/{key}`: any bytes as value, metadata in headers.

use std::time::Duration;

use api::{Problem, headers};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery, read_body};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, params};
use crate::app::cache::{Action, Answer, Failure, Operation, Outcome};

const CACHE: HeaderName = HeaderName::from_static(headers::CACHE);
const CACHE_NODE: HeaderName = HeaderName::from_static(headers::CACHE_NODE);
const TTL: HeaderName = HeaderName::from_static("x-cache-ttl");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, head, put, delete))
}

/// Parameters of `/cache/{key}`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Time to live: seconds or a duration such as `5m` (writes only).
    ttl: Option<String>,
}

/// Read an entry.
#[utoipa::path(get, operation_id = "cache_get", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), Options),
    responses((status = 200, description = "The value"), (status = 404, body = Problem), (status = 503, body = Problem)))]
async fn get(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let operation = operation(key, &options, &headers, Action::Get)?;
    entry_response(app.cache.execute(operation).await?)
}

/// Whether there is an entry, and its metadata.
#[utoipa::path(head, operation_id = "cache_head", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), Options),
    responses((status = 200, description = "There is an entry"), (status = 404)))]
async fn head(
    state: State<AppState>,
    path: ApiPath<String>,
    query: ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    get(state, path, query, headers).await
}

/// Write an entry.
#[utoipa::path(put, operation_id = "cache_put", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), Options), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "New"), (status = 200, description = "Replaced"), (status = 412, body = Problem), (status = 413, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let ttl = options.ttl.as_deref().map(params::ttl).transpose()?;
    let content_type = params::header(&headers, &CONTENT_TYPE)?.unwrap_or_default().to_owned();
    let condition = params::condition(&headers)?;
    let write = |value| Action::Put {
        value,
        content_type,
        expires_at_ms: params::expires_at_ms(ttl),
        condition,
    };
    let mut operation = operation(key, &options, &headers, Action::Get)?;
    operation.action = write(read_body(body, app.max_value_bytes).await?);
    write_response(app.cache.execute(operation).await?)
}

/// Remove an entry.
#[utoipa::path(delete, operation_id = "cache_delete", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), Options),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem)))]
async fn delete(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let action = Action::Delete {
        condition: params::condition(&headers)?,
    };
    let operation = operation(key, &options, &headers, action)?;
    write_response(app.cache.execute(operation).await?)
}

fn operation(key: String, options: &Options, headers: &HeaderMap, action: Action) -> Result<Operation, ApiError> {
    if key.starts_with('_') {
        return Err(ApiError::not_found(
            "path segments that begin with _ are ours; write such a key as /cache/?key=",
        ));
    }
    Ok(Operation {
        namespace: params::namespace(options.ns.as_deref(), headers)?,
        key: params::key(key)?,
        action,
    })
}

fn entry_response(answer: Answer) -> Result<Response, ApiError> {
    let Outcome::Hit {
        value,
        content_type,
        version,
        expires_at_ms,
    } = answer.outcome
    else {
        return Err(miss());
    };
    let content_type = if content_type.is_empty() {
        OCTETS
    } else {
        HeaderValue::from_str(&content_type).unwrap_or(OCTETS)
    };
    let mut response = (
        [
            (CONTENT_TYPE, content_type),
            (CACHE, HeaderValue::from_static("HIT")),
            (CACHE_NODE, node(&answer.node)),
            (ETAG, tag(version)),
        ],
        value,
    )
        .into_response();
    if let Some(left) = params::seconds_left(expires_at_ms) {
        response.headers_mut().insert(TTL, HeaderValue::from(left));
    }
    Ok(response)
}

fn write_response(answer: Answer) -> Result<Response, ApiError> {
    let node = [(CACHE_NODE, node(&answer.node))];
    match answer.outcome {
        Outcome::Stored { version, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, node, [(ETAG, tag(version))]).into_response())
        }
        Outcome::Deleted { existed: true } => Ok((StatusCode::NO_CONTENT, node).into_response()),
        Outcome::Deleted { existed: false } | Outcome::Miss => Err(miss()),
        Outcome::PreconditionFailed { version } => Err(precondition_failed(version)),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn miss() -> ApiError {
    ApiError::not_found("the cache holds nothing under this key")
}

pub(super) fn precondition_failed(version: u64) -> ApiError {
    let held = if version == 0 {
        "the key is absent".to_owned()
    } else {
        format!("the key has version {version}")
    };
    ApiError::new(
        api::ErrorCode::PreconditionFailed,
        format!("{held}; read it and decide again"),
    )
}

pub(super) fn unexpected(outcome: &Outcome) -> ApiError {
    tracing::error!(?outcome, "an auxiliary answered something else than was asked");
    ApiError::new(api::ErrorCode::Internal, "the owner answered something else than was asked")
}

fn tag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn node(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(""))
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.code, failure.detail);
        error.retry_after = failure.code.is_retryable().then_some(Duration::from_secs(1));
        error
    }
}
