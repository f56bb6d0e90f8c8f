//! `GET /jobs`, `GET /jobs/{id}` and `GET /jobs/{id}/plan`.

use api::job::{Job, JobList, JobState};
use api::{JobId, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::jobs::Listing;
use crate::http::AppState;

const USUAL_ITEMS: usize = 50;
const MAX_ITEMS: usize = 500;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(plan))
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Only jobs in this state.
    state: Option<JobState>,
    /// At most so many, 1 to 500; 50 unless set.
    limit: Option<usize>,
    /// Only jobs submitted before this one: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<JobId>,
}

/// List jobs, newest first.
#[utoipa::path(get, operation_id = "jobs_list", path = "/jobs", tag = "jobs", params(Options), responses((status = 200, body = JobList)))]
async fn list(State(app): State<AppState>, ApiQuery(options): ApiQuery<Options>) -> Result<Json<JobList>, ApiError> {
    let limit = options.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let listing = Listing {
        state: options.state,
        limit,
        after: options.after,
    };
    Ok(Json(app.jobs.list(listing).await?))
}

/// A job, its progress and, when it failed, why.
#[utoipa::path(get, operation_id = "job_get", path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = Job), (status = 404, body = Problem)))]
async fn get(State(app): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<Json<Job>, ApiError> {
    Ok(Json(app.jobs.get(id).await?.view()))
}

/// The plan of a job as text: its stages and what each does.
#[utoipa::path(get, operation_id = "job_plan", path = "/jobs/{id}/plan", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = Problem), (status = 409, body = Problem, description = "Not planned yet")))]
async fn plan(State(app): State<AppState>, ApiPath(id): ApiPath<JobId>) -> Result<String, ApiError> {
    Ok(app.jobs.plan(id).await?)
}
