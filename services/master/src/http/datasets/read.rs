//! `GET /datasets` and `GET /datasets/{name}`.

use api::Problem;
use api::dataset::{Dataset, DatasetList};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Place, name};
use crate::http::{AppState, params};

const USUAL_ITEMS: usize = 100;
const MAX_ITEMS: usize = 500;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Which datasets.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Their namespace; `X-Namespace` does the same.
    ns: Option<String>,
    /// At most so many, 1 to 500; 100 unless set.
    limit: Option<usize>,
    /// Only datasets after this one: `next` of the page before.
    after: Option<String>,
}

/// List datasets by name.
#[utoipa::path(get, operation_id = "datasets_list", path = "/datasets", tag = "datasets", params(Options),
    responses((status = 200, body = DatasetList)))]
async fn list(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Json<DatasetList>, ApiError> {
    let limit = options.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    Ok(Json(app.datasets.list(&namespace, limit, options.after.as_deref()).await?))
}

/// A dataset: its columns, rows, bytes and files.
#[utoipa::path(get, operation_id = "dataset_get", path = "/datasets/{name}", tag = "datasets", params(("name" = String, Path), Place),
    responses((status = 200, body = Dataset), (status = 404, body = Problem)))]
async fn get(
    State(app): State<AppState>,
    ApiPath(dataset): ApiPath<String>,
    ApiQuery(place): ApiQuery<Place>,
    headers: HeaderMap,
) -> Result<Json<Dataset>, ApiError> {
    let name = name(place.ns.as_deref(), &headers, dataset)?;
    Ok(Json(app.datasets.get(&name).await?.view()))
}
