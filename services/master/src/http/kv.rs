//! `/kv`: raw values, revisions as entity tags, listings.

use api::Problem;
use api::cache::Encoding;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use control::{Consistency, KeyValue};
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiPath, ApiQuery, read_body};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, lifetime, params};
use crate::app::kv::Written;

/// Largest value: the control store is for the small and precious, and etcd takes 1.5 MiB a request.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;
/// Items of a listing, unless the client asks for fewer.
const MAX_ITEMS: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, put, delete)).routes(routes!(list))
}

/// Parameters of a read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadOptions {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// `stale` reads what this master knows; otherwise the read is linearizable.
    #[param(inline)]
    consistency: Option<Freshness>,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Freshness {
    /// Sees every acknowledged write.
    Linearizable,
    /// May be old.
    Stale,
}

pub(super) fn consistency(asked: Option<Freshness>) -> Consistency {
    match asked {
        Some(Freshness::Stale) => Consistency::Stale,
        _ => Consistency::Linearizable,
    }
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
}

/// Parameters of the rest.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Namespace, instead of the header `X-Namespace`.
    pub(super) ns: Option<String>,
}

/// Parameters of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListOptions {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Keys that begin with it; all when absent.
    #[serde(default)]
    prefix: String,
    /// At most so many, up to 1,000.
    limit: Option<usize>,
    /// Only keys after this one: `next` of the page before.
    after: Option<String>,
    /// `stale` reads what this master knows; otherwise the read is linearizable.
    #[param(inline)]
    consistency: Option<Freshness>,
}

/// A key with its value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Item {
    /// The key.
    key: String,
    /// The value as text, or base64 when `encoding` says so.
    value: String,
    /// Present when `value` is not plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    /// Revision that wrote it last.
    revision: u64,
}

impl From<KeyValue> for Item {
    fn from(pair: KeyValue) -> Self {
        let (value, encoding) = match std::str::from_utf8(&pair.value) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (STANDARD.encode(&pair.value), Some(Encoding::Base64)),
        };
        Self {
            key: pair.key,
            value,
            encoding,
            revision: pair.mod_revision,
        }
    }
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
struct Listing {
    /// In order of the keys.
    items: Vec<Item>,
    /// Give it as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Revision of the store at the read: watch from the one after it.
    revision: u64,
}

/// Read a key.
#[utoipa::path(get, operation_id = "kv_get", path = "/kv/{key}", tag = "kv", params(("key" = String, Path), ReadOptions),
    responses((status = 200, description = "The value"), (status = 404, body = Problem)))]
async fn get(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<ReadOptions>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    let pair = keys.get(&params::key(key)?, consistency(options.consistency)).await?;
    let pair = pair.ok_or_else(absent)?;
    Ok((
        [
            (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
            (ETAG, tag(pair.mod_revision)),
        ],
        pair.value,
    )
        .into_response())
}

/// Write a key; acknowledged when durable.
#[utoipa::path(put, operation_id = "kv_put", path = "/kv/{key}", tag = "kv", params(("key" = String, Path), WriteOptions), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "New"), (status = 200, description = "Replaced"), (status = 412, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<WriteOptions>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    let (key, ttl) = (params::key(key)?, options.ttl.as_deref().map(lifetime::ttl).transpose()?);
    let condition = params::condition(&headers)?;
    let value = read_body(body, MAX_VALUE_BYTES).await?;
    written(keys.put(&key, value, condition, ttl).await?)
}

/// Remove a key.
#[utoipa::path(delete, operation_id = "kv_delete", path = "/kv/{key}", tag = "kv", params(("key" = String, Path), Options),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem), (status = 412, body = Problem)))]
async fn delete(
    State(app): State<AppState>,
    ApiPath(key): ApiPath<String>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    written(keys.delete(&params::key(key)?, params::condition(&headers)?).await?)
}

/// List keys of a namespace.
#[utoipa::path(get, operation_id = "kv_list", path = "/kv", tag = "kv", params(ListOptions), responses((status = 200, body = Listing)))]
async fn list(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<ListOptions>,
    headers: HeaderMap,
) -> Result<Json<Listing>, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    let limit = options.limit.unwrap_or(MAX_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let listing = keys
        .list(
            &options.prefix,
            limit,
            options.after.as_deref(),
            consistency(options.consistency),
        )
        .await?;
    let next = listing.items.last().filter(|_| listing.more).map(|pair| pair.key.clone());
    Ok(Json(Listing {
        items: listing.items.into_iter().map(Item::from).collect(),
        next,
        revision: listing.revision,
    }))
}

fn written(outcome: Written) -> Result<Response, ApiError> {
    match outcome {
        Written::At { revision, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, [(ETAG, tag(revision))]).into_response())
        }
        Written::Removed { .. } => Ok(StatusCode::NO_CONTENT.into_response()),
        Written::Absent => Err(absent()),
        Written::Refused { held } => Err(super::cache::precondition_failed(held)),
    }
}

fn absent() -> ApiError {
    ApiError::not_found("there is no such key")
}

pub(super) fn tag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}
