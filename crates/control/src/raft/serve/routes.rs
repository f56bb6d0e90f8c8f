//! The endpoint on the private port: messages in frames, snapshots as bodies of HTTP requests.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
pub(crate) use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;
use transport::ApiError;
use transport::frames::{Call, FrameHandler, FrameMetrics, frames_route};

use super::Endpoint;
use crate::raft::network::message::{Answer, decode_request, name_of};
use crate::raft::network::{FRAMES, read_head};

/// Largest message: a batch of entries of 4 MiB, or one that is larger by itself, and what is around it.
const MAX_MESSAGE: usize = 32 << 20;

/// The routes, to be mounted at [`BASE`](crate::raft::BASE). Connections of frames are closed when `stop` is cancelled.
pub(crate) fn router(endpoint: Arc<Endpoint>, metrics: FrameMetrics, stop: CancellationToken) -> Router {
    let messages = Arc::new(Messages(Arc::clone(&endpoint)));
    Router::new()
        .route("/snapshot", post(snapshot))
        .with_state(endpoint)
        .merge(frames_route(FRAMES, messages, metrics, MAX_MESSAGE, stop))
}

/// Messages in frames. A caller that gives up leaves nothing half done: what has begun to answer goes on to its end.
struct Messages(Arc<Endpoint>);

#[async_trait]
impl FrameHandler for Messages {
    async fn handle(&self, _call: Call, body: Bytes) -> Result<Bytes, ApiError> {
        let request = decode_request(&body).map_err(unreadable)?;
        drop(body);
        write(&self.0.answer(request).await)
    }

    fn name(&self, kind: u8) -> &'static str {
        name_of(kind)
    }
}

async fn snapshot(State(endpoint): State<Arc<Endpoint>>, body: Body) -> Result<Response, ApiError> {
    let body = body.into_data_stream().map_err(io::Error::other).boxed();
    let (request, body) = read_head(body).await.map_err(unreadable)?;
    Ok(write(&endpoint.receive(request, body).await)?.into_response())
}

fn write(answer: &Answer) -> Result<Bytes, ApiError> {
    let bytes = answer
        .encode()
        .map_err(|error| ApiError::internal(&io::Error::other(error)))?;
    Ok(bytes.into())
}

fn unreadable(reason: String) -> ApiError {
    ApiError::invalid(format!("a message between masters cannot be read: {reason}"))
}
