//! `/cache/{key}`: any bytes as value, metadata in headers. The hot path: nothing is looked up twice, and no JSON.

use api::cache::{Condition, Lifetime};
use api::{Problem, headers};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cache::front::{Action, Answer, Found, Operation, Outcome, Write};
use serde::Deserialize;
use tokio::time::Instant;
use transport::{ApiError, ApiPath, ApiQuery, read_body};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cache_load::{self, Load};
use super::lifetime::{is_stale, lifetime, seconds_left};
use super::params::failure;
use super::who::Who;
use super::{AppState, params};

const CACHE: HeaderName = HeaderName::from_static(headers::CACHE);
const CACHE_NODE: HeaderName = HeaderName::from_static(headers::CACHE_NODE);
pub(super) const CACHE_LOAD: HeaderName = HeaderName::from_static(headers::CACHE_LOAD);
const TTL: HeaderName = HeaderName::from_static(headers::CACHE_TTL);
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
pub(super) const GRANTED: HeaderValue = HeaderValue::from_static("granted");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, head, put, delete))
}

/// Parameters of a read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadOptions {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Get or set: on a miss one caller is told to load the entry (`X-Cache-Load: granted`), the others wait for what it
    /// writes, as long as its load may take: seconds or a duration such as `30s`.
    load: Option<String>,
    /// With `load`: longest wait for somebody else's load; 5 s unless given.
    wait: Option<String>,
}

/// Parameters of a write.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WriteOptions {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Time to live: seconds or a duration such as `5m`.
    ttl: Option<String>,
    /// Instead of `ttl`: Unix seconds or RFC 3339.
    expires_at: Option<String>,
    /// Time for which the entry is still served after that, as stale, while it is loaded anew.
    stale: Option<String>,
}

/// Parameters of the rest.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Read an entry. `X-Cache` is `HIT`, or `STALE` when it should be loaded anew; `X-Cache-TTL` counts the seconds until then.
#[utoipa::path(get, operation_id = "cache_get", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), ReadOptions),
    responses(
        (status = 200, description = "The value; with `X-Cache-Load: granted` it is stale and the caller should load it anew"),
        (status = 404, body = Problem, description = "Nothing; with `X-Cache-Load: granted` the caller should load it"),
        (status = 503, body = Problem, description = "Not executed; or, with `load`, what somebody else loads did not come in time")
    ))]
async fn get(
    State(app): State<AppState>,
    who: Who,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<ReadOptions>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let load = Load::parse(options.load.as_deref(), options.wait.as_deref(), app.max_load_wait)?;
    let action = load.as_ref().map_or(Action::Get, Load::action);
    let operation = operation(key, options.ns.as_deref(), &headers, action)?;
    match load {
        None => entry_response(app.cache.execute(operation).await.map_err(failure)?),
        Some(load) => {
            // Who is told to load an entry keeps the others waiting for it.
            who.check(access::Resource::Cache, access::Action::Write, &operation.namespace)?;
            cache_load::get(&app, operation, load).await
        }
    }
}

/// Whether there is an entry, and its metadata.
#[utoipa::path(head, operation_id = "cache_head", path = "/cache/{key}", tag = "cache", params(("key" = String, Path), Options),
    responses((status = 200, description = "There is an entry"), (status = 404)))]
async fn head(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let operation = operation(key, options.ns.as_deref(), &headers, Action::Get)?;
    entry_response(app.cache.execute(operation).await.map_err(failure)?)
}

/// Write an entry. It is acknowledged when every copy has it; the version is its `ETag`.
#[utoipa::path(put, operation_id = "cache_put", path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path), WriteOptions,
        ("If-Match" = Option<String>, Header, description = "Only when the key has this version; `*`: when it holds anything"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only when the key holds nothing")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "New"), (status = 200, description = "Replaced"), (status = 412, body = Problem), (status = 413, body = Problem),
        (status = 503, body = Problem, description = "Not executed"), (status = 504, body = Problem, description = "Perhaps executed")))]
async fn put(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<WriteOptions>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    // Its time counts from here: when this process is stopped while the body comes in, it must not be executed afterwards.
    let since = Instant::now();
    let mut operation = operation(key, options.ns.as_deref(), &headers, Action::Get)?;
    let write = WriteOf {
        content_type: params::header(&headers, &CONTENT_TYPE)?.unwrap_or_default().to_owned(),
        lifetime: lifetime(
            options.ttl.as_deref(),
            options.expires_at.as_deref(),
            options.stale.as_deref(),
        )?,
        condition: params::condition(&headers)?,
    };
    operation.action = write.of(read_body(body, app.max_value_bytes).await?);
    write_response(app.cache.execute_since(operation, since).await.map_err(failure)?)
}

/// A write but for its value: all else is checked before the value is read.
struct WriteOf {
    content_type: String,
    lifetime: Lifetime,
    condition: Condition,
}

impl WriteOf {
    fn of(self, value: bytes::Bytes) -> Action {
        Action::Put(Write::new(value, self.content_type, self.lifetime, self.condition))
    }
}

/// Remove an entry.
#[utoipa::path(delete, operation_id = "cache_delete", path = "/cache/{key}", tag = "cache",
    params(("key" = String, Path), Options,
        ("If-Match" = Option<String>, Header, description = "Only when the key has this version; `*`: when it holds anything")),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem), (status = 412, body = Problem)))]
async fn delete(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let action = Action::Delete {
        condition: params::condition(&headers)?,
    };
    let operation = operation(key, options.ns.as_deref(), &headers, action)?;
    write_response(app.cache.execute(operation).await.map_err(failure)?)
}

fn operation(key: String, ns: Option<&str>, headers: &HeaderMap, action: Action) -> Result<Operation, ApiError> {
    if key.starts_with('_') {
        return Err(ApiError::not_found(
            "path segments that begin with _ are ours; write such a key as /cache/?key=",
        ));
    }
    Ok(Operation {
        namespace: params::namespace(ns, headers)?,
        key: params::key(key)?,
        action,
    })
}

/// What a read came to.
pub(super) fn entry_response(answer: Answer) -> Result<Response, ApiError> {
    let Outcome::Hit(found) = answer.outcome else {
        return Err(miss());
    };
    let Found {
        value,
        content_type,
        version,
        lifetime,
        load,
        ..
    } = found;
    let content_type = match content_type.is_empty() {
        true => OCTETS,
        false => HeaderValue::try_from(content_type).unwrap_or(OCTETS),
    };
    let state = HeaderValue::from_static(if is_stale(lifetime) { "STALE" } else { "HIT" });
    let mut response = Response::new(Body::from(value));
    let headers = response.headers_mut();
    // Room for what is added here and on the way out, in one go.
    headers.reserve(6);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE, state);
    headers.insert(CACHE_NODE, node(&answer.node));
    headers.insert(ETAG, tag(version));
    if let Some(left) = seconds_left(lifetime.fresh_until_ms) {
        headers.insert(TTL, HeaderValue::from(left));
    }
    if load {
        headers.insert(CACHE_LOAD, GRANTED);
    }
    Ok(response)
}

fn write_response(answer: Answer) -> Result<Response, ApiError> {
    let (status, version) = match answer.outcome {
        Outcome::Stored { version, created: true } => (StatusCode::CREATED, Some(version)),
        Outcome::Stored { version, .. } => (StatusCode::OK, Some(version)),
        Outcome::Deleted { existed: true } => (StatusCode::NO_CONTENT, None),
        Outcome::Deleted { existed: false } | Outcome::Miss { .. } => return Err(miss()),
        Outcome::PreconditionFailed { version } => return Err(precondition_failed(version)),
        other => return Err(unexpected(&other)),
    };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_NODE, node(&answer.node));
    if let Some(version) = version {
        headers.insert(ETAG, tag(version));
    }
    Ok(response)
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
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn node(name: &str) -> HeaderValue {
    HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static(""))
}
