//! `GET /jobs/{id}/events`: a job's changes as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use api::job::{Job, JobState};
use api::{JobId, Problem};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::unfold;
use futures::{Stream, StreamExt};
use jobs::JobRecord;
use transport::{ApiError, ApiPath, ApiQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::InNamespace;
use crate::app::jobs::{Error, Follower};
use crate::http::who::{Who, stream_over};
use crate::http::{AppState, params};

/// Silence after which a comment is sent, so that proxies and clients see the stream live.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Follow a job. Events `state` (the state changed; the first one tells the present) and `progress` carry the job; `note` carries
/// what went wrong without ending it: failed attempts, lost workers, slow tasks. The stream ends after a final state. `error` says
/// that it ended early: ask again.
#[utoipa::path(get, operation_id = "job_events", path = "/jobs/{id}/events", tag = "jobs", params(("id" = String, Path, format = "uuid"), InNamespace),
    responses((status = 200, description = "text/event-stream"), (status = 404, body = Problem)))]
async fn events(
    State(app): State<AppState>,
    who: Who,
    ApiPath(id): ApiPath<JobId>,
    headers: HeaderMap,
    ApiQuery(options): ApiQuery<InNamespace>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let namespace = params::namespace(options.ns.as_deref(), &headers)?;
    app.jobs.get(&namespace, id).await?;
    let mut follower = app.jobs.follow(id);
    let first = follower.next().await?.ok_or(Error::NotFound(id))?;
    let position = Position {
        follower,
        state: first.state,
        noted: first.noted,
    };
    let present = notes(&first, 0).chain([sse("state", &first.view())]).collect::<Vec<_>>();
    let changes = futures::stream::iter(present).chain(unfold(Some(position), change).map(futures::stream::iter).flatten());
    let until_stop = changes.map(Ok).take_until(stream_over(app, who));
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// How far the client has been told.
struct Position {
    follower: Follower,
    state: JobState,
    /// Number of the latest note.
    noted: u64,
}

async fn change(position: Option<Position>) -> Option<(Vec<Event>, Option<Position>)> {
    let Position {
        mut follower,
        state,
        noted,
    } = position?;
    match follower.next().await {
        Ok(None) => None,
        Ok(Some(record)) => {
            let name = if record.state == state { "progress" } else { "state" };
            let events = notes(&record, noted).chain([sse(name, &record.view())]).collect();
            let next = Position {
                follower,
                state: record.state,
                noted: record.noted,
            };
            Some((events, Some(next)))
        }
        Err(error) => {
            let data = serde_json::json!({ "code": error.code(), "detail": error.to_string() });
            Some((vec![Event::default().event("error").data(data.to_string())], None))
        }
    }
}

fn notes(record: &JobRecord, told: u64) -> impl Iterator<Item = Event> + '_ {
    let new = record.notes.iter().filter(move |note| note.number > told);
    new.map(|note| Event::default().event("note").data(serde_json::json!(note).to_string()))
}

fn sse(name: &str, job: &Job) -> Event {
    Event::default().event(name).data(serde_json::json!(job).to_string())
}
