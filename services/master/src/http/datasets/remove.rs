//! `DELETE /datasets/{name}` and `DELETE /datasets/{name}/{file}`.

use api::Problem;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Place, name};
use crate::http::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(file))
}

/// Remove a dataset. Jobs that read it go on; its files take room until they have ended.
#[utoipa::path(delete, operation_id = "dataset_delete", path = "/datasets/{name}", tag = "datasets", params(("name" = String, Path), Place),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem)))]
async fn all(
    State(app): State<AppState>,
    ApiPath(dataset): ApiPath<String>,
    ApiQuery(place): ApiQuery<Place>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let name = name(place.ns.as_deref(), &headers, dataset)?;
    app.datasets.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a file of a dataset, and the dataset with its last file.
#[utoipa::path(delete, operation_id = "dataset_file_delete", path = "/datasets/{name}/{*file}", tag = "datasets",
    params(("name" = String, Path), ("file" = String, Path), Place),
    responses((status = 204, description = "Removed"), (status = 404, body = Problem)))]
async fn file(
    State(app): State<AppState>,
    ApiPath((dataset, path)): ApiPath<(String, String)>,
    ApiQuery(place): ApiQuery<Place>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let name = name(place.ns.as_deref(), &headers, dataset)?;
    app.datasets.remove_file(&name, &path).await?;
    Ok(StatusCode::NO_CONTENT)
}
