//! `GET /kv/_watch`: changes as server-sent events, in order, each once, without a gap, from wherever a client left off.
//!
//! Every event has an id to resume after. All changes of one transaction have one revision: the last of them has the plain
//! revision as id, the n-th before it `revision.n`, so that a connection that breaks between them loses and repeats nothing.

use std::convert::Infallible;
use std::time::Duration;

use api::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use control::{Error, Event, Revision};
use futures::stream::{iter, once};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use transport::{ApiError, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::kv::Item;
use super::who::{Who, stream_over};
use super::{AppState, params};
use crate::app::kv::Keys;

/// Silence after which a comment is sent, so that proxies and clients see the stream live.
const HEARTBEAT: Duration = Duration::from_secs(10);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(watch))
}

/// What to watch.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace, instead of the header `X-Namespace`.
    ns: Option<String>,
    /// Keys that begin with it; all when absent.
    #[serde(default)]
    prefix: String,
    /// Revision to begin with, that one included; from now on when absent. The header `Last-Event-ID` goes before it.
    #[param(format = "uint64")]
    from: Option<u64>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    from: Revision,
    /// Changes of that revision that the client has seen.
    seen: usize,
}

/// Watch changes of a namespace. `listening` comes first, with the `revision` after which all changes follow; then `put` (an item) and
/// `delete` (`key`, `revision`). Send the last id as `Last-Event-ID` to resume. `compacted` ends the stream: what was asked
/// for is no longer kept from there on; list again, then watch from the listing's revision + 1. `error` ends it too; resume.
#[utoipa::path(get, operation_id = "kv_watch", path = "/kv/_watch", tag = "kv",
    params(Options, ("Last-Event-ID" = Option<String>, Header, description = "Resume after this event")),
    responses((status = 200, description = "text/event-stream"), (status = 400, body = Problem), (status = 503, body = Problem)))]
async fn watch(
    State(app): State<AppState>,
    who: Who,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, ApiError> {
    let keys = app.kv.of(&params::namespace(options.ns.as_deref(), &headers)?);
    let begin = match (params::header(&headers, &LAST_EVENT_ID)?, options.from) {
        (Some(id), _) if !id.is_empty() => after(id)?,
        (_, Some(from)) if from > 0 => Begin { from, seen: 0 },
        // A revision from the start, so that a client can resume even before the first change.
        _ => Begin {
            from: keys.revision().await? + 1,
            seen: 0,
        },
    };
    let events = match keys.watch(&options.prefix, begin.from).await {
        Ok(changes) => {
            let mut seen = begin.seen;
            let told = changes.flat_map(move |item| {
                let skip = std::mem::take(&mut seen);
                iter(match item {
                    Ok(events) => told(&keys, events, begin.from, skip),
                    Err(error) => vec![ended(&error)],
                })
            });
            once(std::future::ready(listening(begin))).chain(told).boxed()
        }
        // In the stream, as when it is found later: not every engine knows it at once, and browsers see no other answers.
        Err(error @ Error::Compacted { .. }) => once(std::future::ready(ended(&error))).boxed(),
        Err(error) => return Err(error.into()),
    };
    let until_stop = events.map(Ok).take_until(stream_over(app, who));
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Where a client goes on that has seen the event with this id.
pub(super) fn after(id: &str) -> Result<Begin, ApiError> {
    let begin = match id.split_once('.') {
        None => id
            .parse::<u64>()
            .ok()
            .and_then(|revision| revision.checked_add(1))
            .map(|from| Begin { from, seen: 0 }),
        Some((revision, seen)) => revision
            .parse()
            .ok()
            .zip(seen.parse().ok())
            .map(|(from, seen)| Begin { from, seen }),
    };
    begin.ok_or_else(|| ApiError::invalid(format!("Last-Event-ID {id:?} is none that this API gave")))
}

fn listening(begin: Begin) -> SseEvent {
    let revision = begin.from.saturating_sub(1);
    let id = match begin.seen {
        0 => revision.to_string(),
        seen => format!("{}.{seen}", begin.from),
    };
    SseEvent::default()
        .id(id)
        .event("listening")
        .data(json!({ "revision": revision }).to_string())
}

/// Events of whole revisions; of revision `from` the first `skip` were told before.
fn told(keys: &Keys, events: Vec<Event>, from: Revision, skip: usize) -> Vec<SseEvent> {
    let mut told = Vec::with_capacity(events.len());
    let mut rest = events.into_iter().peekable();
    let (mut of, mut count) = (0, 0);
    while let Some(event) = rest.next() {
        let revision = event.revision();
        if revision != of {
            (of, count) = (revision, 0);
        }
        count += 1;
        let is_last = rest.peek().is_none_or(|next| next.revision() != revision);
        if revision == from && count <= skip {
            continue;
        }
        let id = if is_last {
            revision.to_string()
        } else {
            format!("{revision}.{count}")
        };
        told.push(sse(keys, event, id));
    }
    told
}

fn sse(keys: &Keys, event: Event, id: String) -> SseEvent {
    let (name, data) = match event {
        Event::Put(pair) => ("put", json!(Item::from(keys.shown(pair)))),
        Event::Delete { key, revision } => ("delete", json!({ "key": keys.name(&key), "revision": revision })),
    };
    SseEvent::default().id(id).event(name).data(data.to_string())
}

fn ended(error: &Error) -> SseEvent {
    let detail = error.to_string();
    let (name, data) = match error {
        Error::Compacted { requested, oldest } => (
            "compacted",
            json!({ "detail": detail, "requested": requested, "oldest": oldest }),
        ),
        _ => ("error", json!({ "detail": detail })),
    };
    SseEvent::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_where_to_go_on() {
        assert_eq!(after("17").unwrap(), Begin { from: 18, seen: 0 });
        assert_eq!(after("17.2").unwrap(), Begin { from: 17, seen: 2 });
        for wrong in ["", "x", "-1", "1.", ".1", "1.2.3", "18446744073709551615", "1e3"] {
            assert!(after(wrong).is_err(), "{wrong}");
        }
    }
}
