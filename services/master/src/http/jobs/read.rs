//! `GET /jobs` and `GET /jobs/{id}`.

use api::job::{Job, JobList, JobState};
use api::{JobId, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::InNamespace;
use crate::app::jobs::Listing;
use crate::http::{AppState, params};

const USUAL_ITEMS: usize = 50;
const MAX_ITEMS: usize = 500;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace of the jobs, instead of the header `X-Namespace`; `*` is all.
    ns: Option<String>,
    /// Only jobs in this state.
    state: Option<JobState>,
    /// Only jobs with these labels: `key=value`, several with commas between them.
    label: Option<String>,
    /// Only jobs of this name.
    name: Option<String>,
    /// Only jobs accepted at this time or later, Unix milliseconds.
    #[param(format = "uint64")]
    since: Option<u64>,
    /// Only jobs accepted before this time, Unix milliseconds.
    #[param(format = "uint64")]
    until: Option<u64>,
    /// At most so many, 1 to 500; 50 unless set.
    limit: Option<usize>,
    /// Only jobs submitted before this one: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<JobId>,
}

/// List jobs of a namespace, newest first.
#[utoipa::path(get, operation_id = "jobs_list", path = "/jobs", tag = "jobs", params(Options),
    responses((status = 200, body = JobList), (status = 400, body = Problem)))]
async fn list(
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<Options>,
) -> Result<Json<JobList>, ApiError> {
    let limit = options.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let listing = Listing {
        namespace: params::scope(options.ns.as_deref(), &headers)?.one(),
        state: options.state,
        labels: options.label.as_deref().map_or_else(|| Ok(Vec::new()), labels)?,
        name: options.name,
        since_ms: options.since,
        until_ms: options.until,
        limit,
        after: options.after,
    };
    Ok(Json(app.jobs.list(listing).await?))
}

pub(in crate::http) fn labels(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let label = |one: &str| {
        let pair = one.split_once('=').filter(|(key, _)| !key.is_empty());
        let pair = pair.map(|(key, value)| (key.to_owned(), value.to_owned()));
        pair.ok_or_else(|| ApiError::invalid(format!("label {one:?} is not key=value")))
    };
    text.split(',').map(label).collect()
}

/// A job, its progress and, when it failed, why.
#[utoipa::path(get, operation_id = "job_get", path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path, format = "uuid"), InNamespace),
    responses((status = 200, body = Job), (status = 404, body = Problem)))]
async fn get(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<InNamespace>,
) -> Result<Json<Job>, ApiError> {
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    Ok(Json(app.jobs.get(&namespace, id).await?.view()))
}
