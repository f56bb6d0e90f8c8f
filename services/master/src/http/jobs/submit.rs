//! `POST /jobs` and `DELETE /jobs/{id}`.

use api::job::{Job, JobSpec};
use api::job_tasks::DryRun;
use api::{JobId, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jobs::JobRecord;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use transport::{ApiError, ApiJson, ApiPath, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::InNamespace;
use crate::app::auth::check_job;
use crate::http::who::{self, Who};
use crate::http::{AppState, params};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What stands for itself in a query is written plainly.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(submit)).routes(routes!(cancel))
}

/// How to submit.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace of the job, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Only plan it, and answer with the plan.
    #[serde(default)]
    dry_run: bool,
}

/// Submit a job. It is durable when this answers.
#[utoipa::path(post, operation_id = "job_submit", path = "/jobs", tag = "jobs", request_body = JobSpec,
    params(
        Options,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds (at most 60) for the end"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sending the same job again with the same key does not run it again")
    ),
    responses(
        (status = 202, body = Job, description = "Accepted; `Location` says where it is"),
        (status = 200, content((Job), (DryRun)), description = "Succeeded within `Prefer: wait`, with `rows` when they are few; or the plan, of a dry run"),
        (status = 400, body = Problem, description = "Over a limit, or, when waited for, wrong SQL or tables"),
        (status = 409, body = Problem, description = "The idempotency key stands for another job"),
        (status = 429, body = Problem, description = "The namespace has as many jobs or results as it may have")
    ))]
async fn submit(
    State(app): State<AppState>,
    Who(caller): Who,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<Options>,
    ApiJson(spec): ApiJson<JobSpec>,
) -> Result<Response, ApiError> {
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    check_job(&caller, &namespace, &spec).map_err(who::denied)?;
    if options.dry_run {
        return Ok(Json(app.jobs.dry_run(&namespace, spec).await?).into_response());
    }
    let wait = params::wait(&headers)?;
    let key = params::header(&headers, &IDEMPOTENCY_KEY)?.map(str::to_owned);
    let job = app.jobs.submit(&namespace, spec, key).await?;
    let location = location(&job)?;
    let Some(patience) = wait else {
        return Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(job)).into_response());
    };
    let record = tokio::select! {
        record = app.jobs.wait(job.id, patience) => record?,
        // The job goes on without this master.
        () = app.stop.cancelled() => app.jobs.record(job.id).await?,
    };
    let mut response = waited(&app, record).await.into_response();
    response.headers_mut().insert(LOCATION, location);
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={}", patience.as_secs())) {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// Where a job is; whoever follows it finds the job whatever its headers.
fn location(job: &Job) -> Result<HeaderValue, ApiError> {
    let mut place = format!("/jobs/{}", job.id);
    if !job.namespace.is_empty() {
        place.extend(["?ns="].into_iter().chain(utf8_percent_encode(&job.namespace, ESCAPED)));
    }
    HeaderValue::from_str(&place).map_err(|error| ApiError::internal(&error))
}

/// The job with its rows; as a problem when it failed; 202 while it runs.
async fn waited(app: &AppState, record: JobRecord) -> Result<Response, ApiError> {
    if let Some(problem) = &record.error {
        return Err(problem.clone().into());
    }
    let mut job = record.view();
    job.rows = app.jobs.few_rows(&record).await?;
    let status = if job.state.is_final() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(job)).into_response())
}

/// Cancel a job. Its end is durable when this answers; its workers stop a moment later.
#[utoipa::path(delete, operation_id = "job_cancel", path = "/jobs/{id}", tag = "jobs", params(("id" = String, Path, format = "uuid"), InNamespace),
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem, description = "It has ended otherwise")))]
async fn cancel(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<InNamespace>,
) -> Result<Json<Job>, ApiError> {
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    Ok(Json(app.jobs.cancel(&namespace, id).await?))
}
