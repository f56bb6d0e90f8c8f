//! `/cache/?key=&value=`: the form of the original design, JSON answers.

use api::cache::Entry;
use api::{ErrorCode, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiQuery};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cache_entry::entry;
use super::{AppState, cache, params};
use crate::app::cache::{Action, Operation, Outcome};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, put, delete)).routes(routes!(incr))
}

/// The same at `/cache`, for those who leave the slash out.
pub(super) fn without_slash() -> axum::Router<AppState> {
    axum::Router::new().route("/cache", axum::routing::get(get).put(put).delete(delete))
}

/// Names an entry.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Named {
    /// The key.
    key: String,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Names an entry and gives its value.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Valued {
    /// The key.
    key: String,
    /// The value, as text.
    value: String,
    /// Time to live: seconds or a duration such as `5m`.
    ttl: Option<String>,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Names a counter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Counted {
    /// The key.
    key: String,
    /// How much to add; may be negative.
    #[serde(default = "one")]
    by: i64,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

const fn one() -> i64 {
    1
}

/// A counter after an increment.
#[derive(Debug, Serialize, ToSchema)]
struct Counter {
    /// Its new value.
    value: i64,
}

/// Read an entry by query.
#[utoipa::path(get, operation_id = "cache_get_by_query", path = "/cache/", tag = "cache", params(Named), responses((status = 200, body = Entry), (status = 404, body = Problem)))]
async fn get(State(app): State<AppState>, ApiQuery(named): ApiQuery<Named>, headers: HeaderMap) -> Result<Json<Entry>, ApiError> {
    let operation = operation(named.key.clone(), named.ns.as_deref(), &headers, Action::Get)?;
    Ok(Json(entry(named.key, app.cache.execute(operation).await?, 0)?))
}

/// Write an entry by query.
#[utoipa::path(put, operation_id = "cache_put_by_query", path = "/cache/", tag = "cache", params(Valued), responses((status = 200, body = Entry), (status = 400, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiQuery(valued): ApiQuery<Valued>,
    headers: HeaderMap,
) -> Result<Json<Entry>, ApiError> {
    let expires_at_ms = params::expires_at_ms(valued.ttl.as_deref().map(params::ttl).transpose()?);
    let condition = params::condition(&headers)?;
    if valued.value.len() > app.max_value_bytes {
        let (bytes, limit) = (valued.value.len(), app.max_value_bytes);
        let detail = format!("the value has {bytes} bytes; at most {limit} are allowed");
        return Err(ApiError::new(ErrorCode::TooLarge, detail));
    }
    let action = Action::Put {
        value: valued.value.into(),
        content_type: String::new(),
        expires_at_ms,
        condition,
    };
    let operation = operation(valued.key.clone(), valued.ns.as_deref(), &headers, action)?;
    Ok(Json(entry(valued.key, app.cache.execute(operation).await?, expires_at_ms)?))
}

/// Remove an entry by query.
#[utoipa::path(delete, operation_id = "cache_delete_by_query", path = "/cache/", tag = "cache", params(Named), responses((status = 200, body = Entry), (status = 404, body = Problem)))]
async fn delete(
    State(app): State<AppState>,
    ApiQuery(named): ApiQuery<Named>,
    headers: HeaderMap,
) -> Result<Json<Entry>, ApiError> {
    let action = Action::Delete {
        condition: params::condition(&headers)?,
    };
    let operation = operation(named.key.clone(), named.ns.as_deref(), &headers, action)?;
    Ok(Json(entry(named.key, app.cache.execute(operation).await?, 0)?))
}

/// Add to a counter; an absent one starts at 0.
#[utoipa::path(post, operation_id = "cache_incr", path = "/cache/_incr", tag = "cache", params(Counted), responses((status = 200, body = Counter), (status = 409, body = Problem)))]
async fn incr(
    State(app): State<AppState>,
    ApiQuery(counted): ApiQuery<Counted>,
    headers: HeaderMap,
) -> Result<Json<Counter>, ApiError> {
    let operation = operation(counted.key, counted.ns.as_deref(), &headers, Action::Incr { by: counted.by })?;
    // The key and the number were checked above: what the owner finds invalid is what the key holds.
    let answer = app.cache.execute(operation).await.map_err(|mut failure| {
        if failure.code == ErrorCode::InvalidArgument {
            failure.code = ErrorCode::Conflict;
        }
        failure
    });
    match answer?.outcome {
        Outcome::Counter { value, .. } => Ok(Json(Counter { value })),
        other => Err(cache::unexpected(&other)),
    }
}

fn operation(key: String, ns: Option<&str>, headers: &HeaderMap, action: Action) -> Result<Operation, ApiError> {
    Ok(Operation {
        namespace: params::namespace(ns, headers)?,
        key: params::key(key)?,
        action,
    })
}
