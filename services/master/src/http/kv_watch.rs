//! `GET /kv/_watch`: changes as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use api::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use control::{Error, Event};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use transport::{ApiError, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::kv::Item;
use crate::app::kv::{PREFIX, shown};

/// Silence after which a comment is sent, so that proxies and clients see the stream live.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(watch))
}

/// What to watch.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Keys that begin with it; all when absent.
    #[serde(default)]
    prefix: String,
    /// Revision to begin with, that one included; from now on when absent. `Last-Event-ID` does the same for the one after.
    from: Option<u64>,
}

/// Watch changes. Events `put` (an item) and `delete` (`key`, `revision`) carry the revision as id; `compacted` says that
/// the revision asked for is gone: list again.
#[utoipa::path(get, operation_id = "kv_watch", path = "/kv/_watch", tag = "kv", params(Options), responses((status = 200, description = "text/event-stream"), (status = 409, body = Problem)))]
async fn watch(
    State(app): State<AppState>,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, ApiError> {
    let resumed = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse::<u64>().ok())
        .map(|last| last + 1);
    let changes = app.kv.watch(&options.prefix, resumed.or(options.from).unwrap_or(0)).await?;
    let events = changes.flat_map(|item| {
        futures::stream::iter(item.map_or_else(|error| vec![ended(&error)], |events| events.into_iter().map(sse).collect()))
    });
    let until_stop = events.map(Ok).take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

fn sse(event: Event) -> SseEvent {
    let revision = event.revision();
    let (name, data) = match event {
        Event::Put(pair) => ("put", serde_json::json!(Item::from(shown(pair)))),
        Event::Delete { key, revision } => (
            "delete",
            serde_json::json!({ "key": &key[PREFIX.len()..], "revision": revision }),
        ),
    };
    SseEvent::default()
        .id(revision.to_string())
        .event(name)
        .data(data.to_string())
}

fn ended(error: &Error) -> SseEvent {
    let name = if matches!(error, Error::Compacted { .. }) {
        "compacted"
    } else {
        "error"
    };
    SseEvent::default()
        .event(name)
        .data(serde_json::json!({ "detail": error.to_string() }).to_string())
}
