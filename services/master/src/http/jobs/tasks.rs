//! `GET /jobs/{id}/plan` and `GET /jobs/{id}/tasks`: what a job does, and what became of each part of it.

use api::job_tasks::{JobPlan, JobTasks, TaskState};
use api::{JobId, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::jobs::{TaskListing, plan_view};
use crate::http::{AppState, params};

const USUAL_ITEMS: usize = 100;
const MAX_ITEMS: usize = 1000;
const DOT: &str = "text/vnd.graphviz";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(plan)).routes(routes!(tasks))
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PlanOptions {
    /// Namespace of the job, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// `text`, `json` or `dot` (Graphviz); what `Accept` names, or text, unless set.
    #[param(inline)]
    format: Option<PlanFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum PlanFormat {
    Text,
    Json,
    Dot,
}

impl PlanFormat {
    fn accepted(headers: &HeaderMap) -> Result<Self, ApiError> {
        let accepted = params::header(headers, &ACCEPT)?.unwrap_or_default();
        let names = |name: &str| {
            accepted
                .split(',')
                .any(|one| one.split(';').next().unwrap_or_default().trim() == name)
        };
        Ok(match () {
            () if names("application/json") => Self::Json,
            () if names(DOT) => Self::Dot,
            () => Self::Text,
        })
    }
}

/// The plan of a job: its stages and what each does.
#[utoipa::path(get, operation_id = "job_plan", path = "/jobs/{id}/plan", tag = "jobs", params(("id" = String, Path, format = "uuid"), PlanOptions),
    responses(
        (status = 200, content((String = "text/plain"), (JobPlan = "application/json"), (String = "text/vnd.graphviz"))),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Not planned (yet)")
    ))]
async fn plan(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<PlanOptions>,
) -> Result<Response, ApiError> {
    let format = options.format.map_or_else(|| PlanFormat::accepted(&headers), Ok)?;
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    let graph = app.jobs.plan(&namespace, id).await?;
    Ok(match format {
        PlanFormat::Text => jobs::text(&graph).into_response(),
        PlanFormat::Json => Json(plan_view(&graph)).into_response(),
        PlanFormat::Dot => ([(CONTENT_TYPE, DOT)], jobs::dot(&graph)).into_response(),
    })
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TaskOptions {
    /// Namespace of the job, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Only tasks of this stage.
    stage: Option<u32>,
    /// Only tasks in this state.
    state: Option<TaskState>,
    /// At most so many, 1 to 1000; 100 unless set.
    limit: Option<usize>,
    /// Only tasks after this one: `next` of the page before.
    after: Option<String>,
}

/// The tasks of a job with their attempts: who ran them, when, what they wrote, and why they failed. Also after its end.
#[utoipa::path(get, operation_id = "job_tasks", path = "/jobs/{id}/tasks", tag = "jobs", params(("id" = String, Path, format = "uuid"), TaskOptions),
    responses(
        (status = 200, body = JobTasks),
        (status = 400, body = Problem),
        (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Not planned (yet)")
    ))]
async fn tasks(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<TaskOptions>,
) -> Result<Json<JobTasks>, ApiError> {
    let limit = options.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MAX_ITEMS).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be 1 to {MAX_ITEMS}")));
    }
    let listing = TaskListing {
        stage: options.stage,
        state: options.state,
        limit,
        after: options.after.as_deref().map(place).transpose()?,
    };
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    Ok(Json(app.jobs.tasks(&namespace, id, listing).await?))
}

/// A task as `next` of a page names it.
pub(in crate::http) fn place(text: &str) -> Result<(u32, u32), ApiError> {
    let parsed = text
        .split_once('.')
        .and_then(|(stage, task)| Some((stage.parse().ok()?, task.parse().ok()?)));
    parsed.ok_or_else(|| {
        ApiError::invalid(format!(
            "after is {text:?}; give back the next of the page before, as in 0.99"
        ))
    })
}
