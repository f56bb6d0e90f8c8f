//! `GET /datasets/{name}/{file}`.

use api::Problem;
use axum::extract::State;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use blobs::holder::parse_range;
use futures::TryStreamExt;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Place, name};
use crate::http::AppState;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get))
}

/// A file as it was uploaded, or a range of it.
#[utoipa::path(get, operation_id = "dataset_file", path = "/datasets/{name}/{*file}", tag = "datasets",
    params(("name" = String, Path), ("file" = String, Path), Place),
    responses((status = 200, description = "The file"), (status = 206, description = "The range asked for"), (status = 404, body = Problem),
        (status = 416, body = Problem, description = "The range begins behind the end")))]
async fn get(
    State(app): State<AppState>,
    ApiPath((dataset, path)): ApiPath<(String, String)>,
    ApiQuery(place): ApiQuery<Place>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = name(place.ns.as_deref(), &headers, dataset)?;
    let file = app.datasets.file(&name, &path).await?;
    let asked = headers.get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let range = parse_range(asked, file.bytes).map_err(|_| {
        let detail = format!("the file has {} bytes; there is nothing in the range {asked}", file.bytes);
        ApiError::invalid(detail).with_status(StatusCode::RANGE_NOT_SATISFIABLE)
    })?;
    let (_, content) = app.datasets.open(&file, range.clone()).await?;
    let length = range.as_ref().map_or(file.bytes, |range| range.end - range.start);
    let mut about = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(media_type(&path))),
        (CONTENT_LENGTH, HeaderValue::from(length)),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (ETAG, tag(&file.blob)),
    ]);
    let status = match range {
        Some(range) => {
            let range = format!("bytes {}-{}/{}", range.start, range.end - 1, file.bytes);
            about.insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static("")),
            );
            StatusCode::PARTIAL_CONTENT
        }
        None => StatusCode::OK,
    };
    let content = content.inspect_err(|error| tracing::warn!(%error, "a download breaks off"));
    Ok((status, about, transport::streamed(content)).into_response())
}

/// A blob never changes, so its name tells one content from another; the part with the version is enough.
fn tag(blob: &str) -> HeaderValue {
    let version = blob.split('/').nth(3).unwrap_or(blob);
    let file = blob.rsplit('/').next().unwrap_or_default();
    HeaderValue::from_str(&format!("\"{version}-{file}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "parquet" => "application/vnd.apache.parquet",
        _ => "application/octet-stream",
    }
}
