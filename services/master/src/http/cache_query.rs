//! `/cache/?key=&value=`: the form of the original design, JSON answers.

use ::cache::front::{Action, Operation, Outcome, Write};
use api::Problem;
use api::cache::{Entry, Lifetime};
use api::operations::Deleted;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use transport::{ApiError, ApiQuery};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cache_entry::{entry, incr_failure};
use super::cache_prefix::{self, Prefixed};
use super::lifetime::lifetime;
use super::params::failure;
use super::{AppState, cache, params};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(get, put, delete))
        .routes(routes!(incr))
        .routes(routes!(touch))
}

/// The same at `/cache`, for those who leave the slash out.
pub(super) fn without_slash() -> axum::Router<AppState> {
    axum::Router::new().route("/cache", axum::routing::get(get).put(put).delete(delete))
}

/// Names an entry.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Named {
    /// The key.
    key: String,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Names an entry and gives its value.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Valued {
    /// The key.
    key: String,
    /// The value, as text.
    value: String,
    /// Time to live: seconds or a duration such as `5m`.
    ttl: Option<String>,
    /// Instead of `ttl`: Unix seconds or RFC 3339.
    expires_at: Option<String>,
    /// Time for which the entry is still served after that, as stale.
    stale: Option<String>,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Names an entry and gives it another life time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Touched {
    /// The key.
    key: String,
    /// Time to live from now on: seconds or a duration such as `5m`.
    ttl: Option<String>,
    /// Instead of `ttl`: Unix seconds or RFC 3339.
    expires_at: Option<String>,
    /// Time for which the entry is still served after that, as stale.
    stale: Option<String>,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// Names what to remove: one entry by `key`, or all whose keys begin with `prefix`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Removed {
    /// The key.
    key: Option<String>,
    /// Instead of `key`: see `POST /cache/_delete`.
    prefix: Option<String>,
    /// With `prefix`: see `POST /cache/_delete`.
    all: Option<bool>,
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Removal {
    /// By `key`: the entry.
    One(Entry),
    /// By `prefix`: how many.
    Many(Deleted),
}

/// Names a counter.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
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
    carry_out(&app, named.key, operation, Lifetime::default()).await
}

/// Write an entry by query.
#[utoipa::path(put, operation_id = "cache_put_by_query", path = "/cache/", tag = "cache", params(Valued), responses((status = 200, body = Entry), (status = 400, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiQuery(valued): ApiQuery<Valued>,
    headers: HeaderMap,
) -> Result<Json<Entry>, ApiError> {
    let lifetime = lifetime(valued.ttl.as_deref(), valued.expires_at.as_deref(), valued.stale.as_deref())?;
    let condition = params::condition(&headers)?;
    params::value_of(&valued.key, valued.value.len(), app.max_value_bytes)?;
    let write = Write::new(valued.value.into(), String::new(), lifetime, condition);
    let operation = operation(valued.key.clone(), valued.ns.as_deref(), &headers, Action::Put(write))?;
    carry_out(&app, valued.key, operation, lifetime).await
}

/// Remove an entry by query, or, with `prefix`, many: then the answer is that of `POST /cache/_delete`.
#[utoipa::path(delete, operation_id = "cache_delete_by_query", path = "/cache/", tag = "cache", params(Removed), responses((status = 200, body = Removal), (status = 404, body = Problem)))]
async fn delete(
    State(app): State<AppState>,
    ApiQuery(removed): ApiQuery<Removed>,
    headers: HeaderMap,
) -> Result<Json<Removal>, ApiError> {
    let Removed { key, prefix, all, ns } = removed;
    match (key, prefix) {
        (Some(key), None) if all.is_none() => {
            let action = Action::Delete {
                condition: params::condition(&headers)?,
            };
            let operation = operation(key.clone(), ns.as_deref(), &headers, action)?;
            let Json(entry) = carry_out(&app, key, operation, Lifetime::default()).await?;
            Ok(Json(Removal::One(entry)))
        }
        (None, Some(prefix)) => {
            let prefix = Some(prefix);
            let Json(deleted) = cache_prefix::delete(&app, Prefixed { prefix, all, ns }, &headers).await?;
            Ok(Json(Removal::Many(deleted)))
        }
        _ => Err(ApiError::invalid(
            "give key, to remove one entry, or prefix (with all=true when it is empty), to remove all whose keys begin so",
        )),
    }
}

/// Give an entry another life time. Its version changes, its value does not.
#[utoipa::path(post, operation_id = "cache_touch", path = "/cache/_touch", tag = "cache",
    params(Touched, ("If-Match" = Option<String>, Header, description = "Only when the key has this version")),
    responses((status = 200, body = Entry), (status = 404, body = Problem), (status = 412, body = Problem)))]
async fn touch(
    State(app): State<AppState>,
    ApiQuery(touched): ApiQuery<Touched>,
    headers: HeaderMap,
) -> Result<Json<Entry>, ApiError> {
    let lifetime = lifetime(
        touched.ttl.as_deref(),
        touched.expires_at.as_deref(),
        touched.stale.as_deref(),
    )?;
    if lifetime == Lifetime::default() {
        return Err(ApiError::invalid(
            "touch gives an entry another life time: give ttl (60, 5m) or expires_at",
        ));
    }
    let condition = params::condition(&headers)?;
    let action = Action::Touch { lifetime, condition };
    let operation = operation(touched.key.clone(), touched.ns.as_deref(), &headers, action)?;
    carry_out(&app, touched.key, operation, lifetime).await
}

/// Add to a counter; an absent one starts at 0, a negative number subtracts. Its life time stays.
#[utoipa::path(post, operation_id = "cache_incr", path = "/cache/_incr", tag = "cache", params(Counted), responses((status = 200, body = Counter), (status = 409, body = Problem)))]
async fn incr(
    State(app): State<AppState>,
    ApiQuery(counted): ApiQuery<Counted>,
    headers: HeaderMap,
) -> Result<Json<Counter>, ApiError> {
    let operation = operation(counted.key, counted.ns.as_deref(), &headers, Action::Incr { by: counted.by })?;
    let answer = app.cache.execute(operation).await.map_err(incr_failure)?;
    match answer.outcome {
        Outcome::Counter { value, .. } => Ok(Json(Counter { value })),
        other => Err(cache::unexpected(&other)),
    }
}

async fn carry_out(app: &AppState, key: String, operation: Operation, written: Lifetime) -> Result<Json<Entry>, ApiError> {
    let answer = app.cache.execute(operation).await.map_err(failure)?;
    Ok(Json(entry(key, answer, written)?))
}

fn operation(key: String, ns: Option<&str>, headers: &HeaderMap, action: Action) -> Result<Operation, ApiError> {
    Ok(Operation {
        namespace: params::namespace(ns, headers)?,
        key: params::key(key)?,
        action,
    })
}
