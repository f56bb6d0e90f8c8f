//! `GET /events`: what happens to entries of the cache, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use api::Problem;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{once, unfold};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use transport::{ApiError, ApiQuery};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::who::{Who, stream_over};
use super::{AppState, params};
use crate::app::events::{Filter, Kind, MAX_LISTENERS, Told};

/// Silence after which a comment is sent, so that proxies and clients see the stream live.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Longest wait for the auxiliaries before the stream begins without some.
const SETTLE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What to listen to.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Namespace, instead of the header `X-Namespace`; `*` is all.
    ns: Option<String>,
    /// Only of keys that begin with it.
    #[serde(default)]
    prefix: String,
    /// Only these, separated by commas: `set`, `delete`, `expire`, `evict`.
    kinds: Option<String>,
}

/// Listen to changes of a namespace of the cache. Events `set`, `delete`, `expire` and `evict` carry `kind`, `namespace`, `key` and
/// `version`. `listening` comes first, and says whether every auxiliary is heard; `missed` says that there were events which
/// are not told, and how many, if that is known. Nothing is told again after a reconnect.
#[utoipa::path(get, operation_id = "cache_events", path = "/events", tag = "cache", params(Options),
    responses((status = 200, description = "text/event-stream"), (status = 400, body = Problem), (status = 503, body = Problem, description = "Too many listen already")))]
async fn events(
    State(app): State<AppState>,
    who: Who,
    ApiQuery(options): ApiQuery<Options>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let filter = Filter {
        namespace: params::scope(options.ns.as_deref(), &headers)?.one(),
        prefix: options.prefix,
        kinds: kinds(options.kinds.as_deref())?,
    };
    let listener = app.events.listen(filter).ok_or_else(|| {
        ApiError::unavailable(format!(
            "{MAX_LISTENERS} clients listen to this master already; try another one"
        ))
    })?;
    let complete = listener.settled(SETTLE).await;
    let first = once(async move {
        Event::default()
            .event("listening")
            .data(json!({ "complete": complete }).to_string())
    });
    let changes = unfold(listener, |mut listener| async move {
        let told = listener.next().await?;
        Some((sse(&told), listener))
    });
    let until_stop = first.chain(changes).map(Ok).take_until(stream_over(app, who));
    Ok(Sse::new(until_stop).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

pub(super) fn kinds(text: Option<&str>) -> Result<Vec<Kind>, ApiError> {
    let Some(text) = text else {
        return Ok(Kind::ALL.to_vec());
    };
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.as_str() == name.trim());
    text.split(',')
        .map(|name| {
            kind(name).ok_or_else(|| {
                ApiError::invalid(format!(
                    "{name:?} is no kind of event: list some of set, delete, expire and evict, separated by commas"
                ))
            })
        })
        .collect()
}

fn sse(told: &Told) -> Event {
    match told {
        Told::Change { kind, json, .. } => Event::default().event(kind.as_str()).data(json),
        Told::Missed { count } => Event::default().event("missed").data(json!({ "missed": count }).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_one_by_one() {
        assert_eq!(kinds(None).unwrap(), Kind::ALL);
        assert_eq!(kinds(Some("evict, set")).unwrap(), [Kind::Evict, Kind::Set]);
        for wrong in ["", "set,", "SET", "touch"] {
            assert!(kinds(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
