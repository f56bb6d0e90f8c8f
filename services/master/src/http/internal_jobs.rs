//! What workers and other masters ask the leader, on the private port.

use api::job::Job;
use api::job_tasks::DryRun;
use api::task::{PollRequest, PollResponse, Report, ReportResponse};
use api::{ErrorCode, JobId};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use transport::{ApiError, ApiJson, ApiPath, read_body};

use super::AppState;
use crate::app::jobs::Submission;

/// Largest report: a plan of many stages, or a small result.
const MAX_REPORT_BYTES: usize = 16 << 20;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/internal/v1/jobs", post(accept))
        .route("/internal/v1/jobs/dry-run", post(dry_run))
        .route("/internal/v1/jobs/poll", post(poll))
        .route("/internal/v1/jobs/report", post(report))
        .route("/internal/v1/jobs/{job}", delete(cancel))
        .route("/internal/v1/jobs/{job}/stages/{stage}", get(stage_plan))
}

/// A submission that another master took.
async fn accept(State(app): State<AppState>, ApiJson(submission): ApiJson<Submission>) -> Result<Json<Job>, ApiError> {
    Ok(Json(app.jobs.accept(submission).await?))
}

/// A dry run that another master took.
async fn dry_run(State(app): State<AppState>, ApiJson(submission): ApiJson<Submission>) -> Result<Json<DryRun>, ApiError> {
    Ok(Json(app.jobs.dry_run_here(submission).await?))
}

/// A cancellation that another master took.
async fn cancel(State(app): State<AppState>, ApiPath(job): ApiPath<JobId>) -> Result<Json<Job>, ApiError> {
    Ok(Json(app.jobs.cancel_here(job).await?))
}

/// A worker's long poll.
async fn poll(State(app): State<AppState>, ApiJson(poll): ApiJson<PollRequest>) -> Result<Json<PollResponse>, ApiError> {
    Ok(Json(app.jobs.poll(poll).await?))
}

/// A worker's report, as postcard.
async fn report(State(app): State<AppState>, body: Body) -> Result<Json<ReportResponse>, ApiError> {
    let body = read_body(body, MAX_REPORT_BYTES).await?;
    let report = Report::decode(&body)
        .map_err(|error| ApiError::new(ErrorCode::InvalidArgument, format!("the report cannot be read: {error}")))?;
    Ok(Json(app.jobs.report(report).await?))
}

/// The encoded plan of a stage, raw.
async fn stage_plan(State(app): State<AppState>, ApiPath((job, stage)): ApiPath<(JobId, u32)>) -> Result<Response, ApiError> {
    let plan = app.jobs.stage_plan(job, stage).await?;
    let content_type = HeaderValue::from_static("application/octet-stream");
    Ok(([(CONTENT_TYPE, content_type)], plan).into_response())
}
