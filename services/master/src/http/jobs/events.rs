//! `GET /jobs/{id}/events`: a job's changes as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use api::job::{Job, JobState};
use api::{JobId, Problem};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use transport::{ApiError, ApiPath};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::jobs::{Error, Follower};
use crate::http::AppState;

/// Silence after which a comment is sent, so that proxies and clients see the stream live.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Follow a job. Events `state` (the state changed; the first one tells the present) and `progress` carry the job; the stream
/// ends after a final state. `error` says that it ended early: ask again.
#[utoipa::path(get, operation_id = "job_events", path = "/jobs/{id}/events", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "text/event-stream"), (status = 404, body = Problem)))]
async fn events(
    State(app): State<AppState>,
    ApiPath(id): ApiPath<JobId>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let mut follower = app.jobs.follow(id);
    let first = follower.next().await?.ok_or(Error::NotFound(id))?.view();
    let state = first.state;
    let changes = futures::stream::iter([sse("state", &first)]).chain(unfold(Some((follower, state)), change));
    let until_stop = changes.map(Ok).take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

type Position = Option<(Follower, JobState)>;

async fn change(position: Position) -> Option<(Event, Position)> {
    let (mut follower, before) = position?;
    match follower.next().await {
        Ok(None) => None,
        Ok(Some(record)) => {
            let job = record.view();
            let name = if job.state == before { "progress" } else { "state" };
            Some((sse(name, &job), Some((follower, job.state))))
        }
        Err(error) => {
            let data = serde_json::json!({ "code": error.code(), "detail": error.to_string() });
            Some((Event::default().event("error").data(data.to_string()), None))
        }
    }
}

fn sse(name: &str, job: &Job) -> Event {
    Event::default().event(name).data(serde_json::json!(job).to_string())
}
