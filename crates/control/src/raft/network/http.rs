//! The network of a real cluster, on the other masters' private listeners: messages in frames over one connection to each
//! (an HTTP request for each would cost more than all the rest of a write), snapshots as bodies of HTTP requests.

use std::time::Duration;

use api::{BootId, Epoch};
use async_trait::async_trait;
use bytes::Bytes;
use transport::frames::{Call, FrameClient};
use transport::peer::{Body as HttpBody, PeerClient, PeerError, Retry};

use super::message::{Call as Asked, decode_answer};
use super::{Answer, BASE, Body, FRAMES_PATH, Network, NetworkError, Request, write_head};

/// Lets the other side take its time with a snapshot: the longest a private listener grants beyond its usual deadline.
const PATIENCE: &str = "wait=60";

/// Calls over HTTP, and over connections that began as HTTP.
#[derive(Debug, Clone)]
pub(crate) struct HttpNetwork {
    client: PeerClient,
    /// What the protocol says. On connections of its own: calls are many when much is asked of the store, and must not crowd
    /// out a heartbeat.
    protocol: FrameClient,
    /// What is asked of a leader.
    calls: FrameClient,
}

impl HttpNetwork {
    /// Over the client that all calls to peers go through. Its breakers stay out of it: raft has its own ideas of when to
    /// try again, and a heartbeat must not be held back because a read was slow.
    pub(crate) fn new(client: PeerClient) -> Self {
        let frames = || FrameClient::new(client.clone()).at(FRAMES_PATH).unguarded();
        let (protocol, calls) = (frames(), frames());
        Self { client, protocol, calls }
    }
}

#[async_trait]
impl Network for HttpNetwork {
    async fn call(&self, address: &str, request: Request, deadline: Duration) -> Result<Answer, NetworkError> {
        // Whom it is for stands in the message.
        let call = Call {
            kind: request.call.kind(),
            epoch: Epoch(0),
            boot_id: BootId::nobody(),
        };
        let frames = match request.call {
            Asked::Store { .. } | Asked::Members { .. } | Asked::ReadIndex => &self.calls,
            _ => &self.protocol,
        };
        let body = request.encode().map_err(NetworkError::NotSent)?;
        let answer = frames.call(address, call, Bytes::from(body), deadline).await;
        read(&answer.map_err(network_error)?)
    }

    async fn send(&self, address: &str, request: Request, body: Body, deadline: Duration) -> Result<Answer, NetworkError> {
        let body = write_head(&request, body).map_err(NetworkError::NotSent)?;
        let post = self
            .client
            .post(address, &format!("{BASE}/snapshot"))
            .deadline(deadline)
            .retry(Retry::Never)
            .unguarded()
            .header("prefer", transport::peer::HeaderValue::from_static(PATIENCE));
        let exchange = async {
            let response = post.stream(HttpBody::wrap_stream(body)).send().await.map_err(network_error)?;
            read(&response.bytes().await.map_err(network_error)?)
        };
        let silent = || NetworkError::Unknown(format!("no answer within {deadline:?}"));
        tokio::time::timeout(deadline, exchange).await.map_err(|_| silent())?
    }
}

fn read(answer: &[u8]) -> Result<Answer, NetworkError> {
    decode_answer(answer).map_err(|error| NetworkError::Unknown(format!("the answer cannot be read: {error}")))
}

fn network_error(error: PeerError) -> NetworkError {
    let text = error.to_string();
    // A problem in place of an answer comes from the layers around our handlers, before they are called; but for two that
    // may come after: a handler that broke, and one that took too long.
    let executed = matches!(error.code(), api::ErrorCode::Timeout | api::ErrorCode::Internal);
    if executed {
        NetworkError::Unknown(text)
    } else {
        NetworkError::NotSent(text)
    }
}
