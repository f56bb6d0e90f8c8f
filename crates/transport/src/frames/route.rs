//! The server side's entrance: the route that turns a request into a connection of frames.

use std::sync::Arc;

use api::{ErrorCode, headers};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::serving::{self, Serving};
use super::{Call, FrameMetrics, PROTOCOL, TRACE_FIELD};
use crate::ApiError;
use crate::connection::Connection;
use crate::server::{ConnectionSlot, Metered};

const FRAME_FIELDS: HeaderName = HeaderName::from_static(headers::FRAME_FIELDS);
/// Calls being handled, over all connections; more are refused, not executed.
const MAX_HANDLED: usize = 4096;

/// What answers the calls of peers.
#[async_trait]
pub trait FrameHandler: Send + Sync {
    /// Answers one call. It runs in the connection's own task until it first waits, and in a task of its own from then on,
    /// to its end even if the caller goes away: what computes for long belongs into `spawn_blocking`. `body` is a slice of
    /// the connection's buffer: copy what is to be kept.
    ///
    /// # Errors
    /// Whatever the caller is to get as [`PeerError::Answered`](crate::peer::PeerError::Answered).
    async fn handle(&self, call: Call, body: Bytes) -> Result<Bytes, ApiError>;

    /// What answers the calls of one connection, whose caller had this time (Unix milliseconds) when it asked for it. Not asked of callers
    /// that do not say.
    fn for_caller_at(&self, _now_ms: u64) -> Option<Arc<dyn FrameHandler>> {
        None
    }

    /// What calls of a kind are called in metrics: one of a few names, whatever peers send.
    fn name(&self, kind: u8) -> &'static str;
}

/// `POST` to `path`, for the private listener: the layers there ask for the token. Bodies of calls may have up to
/// `max_frame_bytes`. When `stop` is cancelled, calls that were read are answered, the others told that they were not.
pub fn frames_route(
    path: &str,
    handler: Arc<dyn FrameHandler>,
    metrics: FrameMetrics,
    max_frame_bytes: usize,
    stop: CancellationToken,
) -> Router {
    let serving = Arc::new(Serving {
        handler,
        metrics: Arc::new(metrics),
        max_frame_bytes,
        handled: Arc::new(Semaphore::new(MAX_HANDLED)),
        stop,
    });
    Router::new().route(path, post(upgrade)).with_state(serving)
}

async fn upgrade(State(serving): State<Arc<Serving>>, mut request: Request) -> Result<Response, ApiError> {
    if serving.stop.is_cancelled() {
        return Err(ApiError::unavailable("this node is stopping"));
    }
    let protocol = request.headers().get(UPGRADE).is_some_and(|protocol| protocol == PROTOCOL);
    let (Some(upgrade), true) = (request.extensions_mut().remove::<OnUpgrade>(), protocol) else {
        let detail = format!("this path is for peers: send Connection: upgrade and Upgrade: {PROTOCOL}");
        return Err(ApiError::new(ErrorCode::InvalidArgument, detail).with_status(StatusCode::UPGRADE_REQUIRED));
    };
    // Read at once: what it says was true a moment ago.
    let told = request
        .headers()
        .get(headers::TIME)
        .and_then(|time| time.to_str().ok()?.parse().ok());
    let handler = told.and_then(|now_ms| serving.handler.for_caller_at(now_ms));
    let handler = handler.unwrap_or_else(|| Arc::clone(&serving.handler));
    let traces = request
        .headers()
        .get(headers::FRAME_FIELDS)
        .is_some_and(|fields| fields == TRACE_FIELD);
    // Held as long as the connection: it counts among those of the listener, and the node waits for it when it stops.
    let slot = request.extensions_mut().remove::<ConnectionSlot>();
    tokio::spawn(async move {
        match upgrade
            .await
            .map(|upgraded| upgraded.downcast::<TokioIo<Metered<Connection>>>())
        {
            Ok(Ok(parts)) => {
                let stream = parts.io.into_inner().into_inner();
                serving::serve(&serving, handler, stream, parts.read_buf, traces).await;
            }
            Ok(Err(_)) => debug!("frames were asked for on something that is no connection of a listener"),
            Err(error) => debug!(%error, "a peer asked for frames and went away"),
        }
        drop(slot);
    });
    let mut headers = HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static(PROTOCOL)),
    ]);
    if traces {
        headers.insert(FRAME_FIELDS, HeaderValue::from_static(TRACE_FIELD));
    }
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response())
}
