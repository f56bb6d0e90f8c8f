//! `/namespaces`: quotas and usage.

use std::sync::Arc;

use api::Problem;
use api::cache::NamespaceQuota;
use api::operations::{DEFAULT_NAMESPACE, NamespaceListing, NamespaceReport};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use transport::{ApiError, ApiJson, ApiPath};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AppState, params};

/// Largest quota: an exact number in JSON everywhere.
const MAX_QUOTA: u64 = 1 << 53;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// List namespaces that have a quota, or were used since the auxiliaries started.
#[utoipa::path(get, operation_id = "namespaces", path = "/namespaces", tag = "cache", responses((status = 200, body = NamespaceListing)))]
async fn list(State(app): State<AppState>) -> Result<Json<NamespaceListing>, ApiError> {
    Ok(Json(app.namespaces.list().await?))
}

/// What a namespace holds and may hold. The default one is `_default` here.
#[utoipa::path(get, operation_id = "namespace_get", path = "/namespaces/{ns}", tag = "cache", params(("ns" = String, Path)),
    responses((status = 200, body = NamespaceReport), (status = 404, body = Problem)))]
async fn get(State(app): State<AppState>, ApiPath(ns): ApiPath<String>) -> Result<Json<NamespaceReport>, ApiError> {
    let namespace = name(&ns)?;
    let found = app.namespaces.list().await?.items.into_iter();
    let found = found.into_iter().find(|report| report.namespace == *namespace);
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found("this namespace has no quota and was not used since the auxiliaries started"))
}

/// Set a namespace's quota, for the whole cluster and without copies. What is over it is evicted.
#[utoipa::path(put, operation_id = "namespace_put", path = "/namespaces/{ns}", tag = "cache", params(("ns" = String, Path)), request_body = NamespaceQuota,
    responses((status = 201, body = NamespaceQuota, description = "New"), (status = 200, body = NamespaceQuota, description = "Replaced"), (status = 400, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiPath(ns): ApiPath<String>,
    ApiJson(quota): ApiJson<NamespaceQuota>,
) -> Result<Response, ApiError> {
    let namespace = name(&ns)?;
    let bounds = [("max_entries", quota.max_entries), ("max_bytes", quota.max_bytes)];
    if bounds.iter().all(|(_, bound)| bound.is_none()) {
        return Err(ApiError::invalid(
            "a quota needs max_entries, max_bytes or both; DELETE takes a quota away",
        ));
    }
    for (bound, value) in bounds {
        if value.is_some_and(|value| !(1..=MAX_QUOTA).contains(&value)) {
            return Err(ApiError::invalid(format!("{bound} must be 1 to 2^53")));
        }
    }
    let status = match app.namespaces.set(&namespace, quota).await? {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(quota)).into_response())
}

/// Take a namespace's quota away; its entries stay.
#[utoipa::path(delete, operation_id = "namespace_delete", path = "/namespaces/{ns}", tag = "cache", params(("ns" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem)))]
async fn delete(State(app): State<AppState>, ApiPath(ns): ApiPath<String>) -> Result<StatusCode, ApiError> {
    match app.namespaces.unset(&name(&ns)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("this namespace has no quota")),
    }
}

fn name(segment: &str) -> Result<Arc<str>, ApiError> {
    if segment == DEFAULT_NAMESPACE {
        return Ok(Arc::default());
    }
    params::checked_namespace(segment)
}
