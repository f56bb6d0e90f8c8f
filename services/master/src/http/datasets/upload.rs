//! `PUT /datasets/{name}/{file}`.

use api::Problem;
use api::cache::Condition;
use api::dataset::Uploaded;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures::StreamExt;
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::name;
use crate::app::datasets::Upload;
use crate::http::{AppState, params};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(put))
}

/// What is uploaded.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The dataset's namespace; `X-Namespace` does the same.
    ns: Option<String>,
    /// `csv`, `tsv`, `ndjson` or `parquet`; told from the file's extension unless set.
    format: Option<String>,
}

/// Upload a file of any size. The dataset is made by its first file; the file is part of it when this answers, and not before.
#[utoipa::path(put, operation_id = "dataset_put", path = "/datasets/{name}/{*file}", tag = "datasets",
    params(("name" = String, Path), ("file" = String, Path, description = "May have slashes: directories such as year=2026 are columns"), Options),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Uploaded, description = "New"), (status = 200, body = Uploaded, description = "Replaced"),
        (status = 400, body = Problem, description = "The file is not what it claims to be"),
        (status = 409, body = Problem, description = "It does not fit into the dataset"),
        (status = 412, body = Problem, description = "It is there, with If-None-Match: *"), (status = 413, body = Problem)))]
async fn put(
    State(app): State<AppState>,
    ApiPath((dataset, path)): ApiPath<(String, String)>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Uploaded>), ApiError> {
    let only_new = match params::condition(&headers)? {
        Condition::None => false,
        Condition::Absent => true,
        _ => {
            return Err(ApiError::invalid(
                "uploads take only If-None-Match: *: store when there is no such file",
            ));
        }
    };
    let order = Upload {
        dataset: name(options.ns.as_deref(), &headers, dataset)?,
        path,
        format: options.format,
        only_new,
    };
    let (uploaded, created) = app.datasets.upload(order, transport::client_upload(body).boxed()).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(uploaded)))
}
