//! `POST /cache/_delete`: all entries of a namespace whose keys begin with a prefix.

use api::Problem;
use api::operations::Deleted;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use transport::{ApiError, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::params::failure;
use super::{AppState, params};

/// Longest prefix: no key is longer.
const MAX_PREFIX_BYTES: usize = api::key::MAX_KEY_BYTES;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(post))
}

/// What to remove.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Prefixed {
    /// Keys that begin with it; every key of the namespace when it is empty or absent.
    pub(super) prefix: Option<String>,
    /// Must be `true` to remove everything from the default namespace.
    pub(super) all: Option<bool>,
    /// Namespace, instead of the header `X-Namespace`.
    pub(super) ns: Option<String>,
}

/// Remove all entries of a namespace whose keys begin with a prefix. What is written meanwhile may stay.
#[utoipa::path(post, operation_id = "cache_delete_prefix", path = "/cache/_delete", tag = "cache", params(Prefixed),
    responses((status = 200, body = Deleted), (status = 400, body = Problem),
        (status = 503, body = Problem, description = "Nothing was removed"),
        (status = 504, body = Problem, description = "Not all was removed; send it again")))]
async fn post(
    State(app): State<AppState>,
    ApiQuery(prefixed): ApiQuery<Prefixed>,
    headers: HeaderMap,
) -> Result<Json<Deleted>, ApiError> {
    delete(&app, prefixed, &headers).await
}

pub(super) async fn delete(app: &AppState, prefixed: Prefixed, headers: &HeaderMap) -> Result<Json<Deleted>, ApiError> {
    let prefix = prefixed.prefix.unwrap_or_default();
    let namespace = params::namespace(prefixed.ns.as_deref(), headers)?;
    if prefix.len() > MAX_PREFIX_BYTES {
        let detail = format!(
            "the prefix has {} bytes; at most {MAX_PREFIX_BYTES} are allowed, as in keys",
            prefix.len()
        );
        return Err(ApiError::invalid(detail));
    }
    if namespace.is_empty() && prefix.is_empty() && prefixed.all != Some(true) {
        return Err(ApiError::invalid(
            "this would remove every entry of the default namespace: give a prefix, a namespace (ns), or all=true",
        ));
    }
    let version = app.cache.stamp();
    let deleted = app.auxiliaries.delete_prefix(&namespace, &prefix, version).await;
    Ok(Json(Deleted {
        deleted: deleted.map_err(failure)?,
    }))
}
