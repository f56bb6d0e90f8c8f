//! `GET /jobs/{id}/result`: the rows, streamed.

use api::{JobId, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use formats::{Format, UnknownFormat};
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::jobs::has_result;
use crate::http::{AppState, params};

const ROWS: HeaderName = HeaderName::from_static("x-rows");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(result))
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace of the job, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// `json` (unless set), `ndjson`, `csv`, `arrow` or `parquet`.
    format: Option<String>,
}

/// The result of a job that succeeded. `X-Rows` says how many rows; `HEAD` asks for nothing more.
#[utoipa::path(get, operation_id = "job_result", path = "/jobs/{id}/result", tag = "jobs", params(("id" = String, Path, format = "uuid"), Options),
    responses(
        (status = 200, description = "The rows, in the format asked for"),
        (status = 400, body = Problem, description = "Unknown format, or one that cannot hold these columns"),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "No result (yet)")
    ))]
async fn result(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    method: Method,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<Options>,
) -> Result<Response, ApiError> {
    let format = options.format.as_deref().unwrap_or("json");
    let format: Format = format
        .parse()
        .map_err(|error: UnknownFormat| ApiError::invalid(error.to_string()))?;
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    let record = app.jobs.get(&namespace, id).await?;
    has_result(&record)?;
    let rows = HeaderValue::from(record.result.as_ref().map_or(0, |result| result.rows));
    let content_type = HeaderValue::from_static(format.content_type());
    let fields = [(CONTENT_TYPE, content_type), (ROWS, rows)];
    if method == Method::HEAD {
        return Ok((fields, Body::empty()).into_response());
    }
    let result = app.jobs.result(record, format).await?;
    // An error in the middle breaks the connection off, so that nobody takes a part for the whole.
    let chunks = futures::stream::unfold(result, |mut result| async move { Some((result.next().await?, result)) });
    Ok((fields, transport::streamed(chunks)).into_response())
}
