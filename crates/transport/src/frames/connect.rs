//! From an address to a connection that speaks frames.

use std::fmt;
use std::sync::Arc;

use api::{Problem, headers};
use axum::body::{Body, to_bytes};
use axum::http::header::{CONNECTION, HOST, UPGRADE};
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::link::Link;
use super::{PROTOCOL, TRACE_FIELD};
use crate::connection::Connection;
use crate::peer::{PeerClient, PeerError};

/// Longest body of a refusal that is looked at.
const LONGEST_PROBLEM: usize = 64 << 10;

/// How a connection is asked for.
#[derive(Clone)]
pub(super) struct Hello {
    pub(super) path: &'static str,
    /// What time it is here.
    pub(super) time: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Connects and upgrades, within the connect time-out. Whatever goes wrong here, no call has been made.
pub(super) async fn connect(peers: &PeerClient, peer: &str, hello: &Hello) -> Result<Link, PeerError> {
    let at_most = peers.inner.policy.connect_timeout;
    let refusal = match tokio::time::timeout(at_most, open(peers, peer, hello)).await {
        Ok(Ok(link)) => return Ok(link),
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::Failed(format!("no connection within {at_most:?}")),
    };
    let peer = peer.to_owned();
    Err(match refusal {
        Refusal::Failed(detail) => PeerError::Unreachable { peer, detail },
        Refusal::Answered(problem) => PeerError::Answered { peer, problem },
        Refusal::Strange(status) => PeerError::Malformed {
            peer,
            detail: format!("status {status} without a problem body"),
        },
    })
}

enum Refusal {
    /// No connection.
    Failed(String),
    /// A peer that will not.
    Answered(Box<Problem>),
    /// No peer of ours.
    Strange(StatusCode),
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        // The innermost cause is the one that helps.
        let innermost = std::iter::successors(error.source(), |cause| cause.source()).last();
        Self::Failed(innermost.map_or_else(|| error.to_string(), ToString::to_string))
    }
}

async fn open(peers: &PeerClient, peer: &str, hello: &Hello) -> Result<Link, Refusal> {
    let stream = TcpStream::connect(peer).await?;
    stream.set_nodelay(true)?;
    let stream = match peers.inner.tls() {
        None => Connection::Plain(stream),
        Some(tls) => {
            let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host);
            let (stream, standing) = tls.connect(host, stream).await?;
            Connection::Encrypted(Box::new(stream.into()), standing)
        }
    };
    let (mut http, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with this function, however that ends.
    let mut exchange = JoinSet::new();
    exchange.spawn(connection.with_upgrades());
    let mut request = Request::post(hello.path)
        .header(HOST, peer)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, PROTOCOL)
        .header(headers::FRAME_FIELDS, TRACE_FIELD)
        .header(headers::CLUSTER_TOKEN, &peers.inner.token);
    if let Some(now_ms) = &hello.time {
        request = request.header(headers::TIME, now_ms());
    }
    let request = request.body(Body::empty())?;
    let response = http.send_request(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(understand(response).await);
    }
    let traces = response
        .headers()
        .get(headers::FRAME_FIELDS)
        .is_some_and(|fields| fields == TRACE_FIELD);
    let parts = hyper::upgrade::on(response).await?.downcast::<TokioIo<Connection>>();
    let parts = parts.map_err(|_| Refusal::Failed("the connection is of another type than was opened".to_owned()))?;
    Ok(Link::new(parts.io.into_inner(), parts.read_buf, traces))
}

async fn understand(response: Response<Incoming>) -> Refusal {
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), LONGEST_PROBLEM).await;
    match serde_json::from_slice::<Problem>(&body.unwrap_or_default()) {
        Ok(problem) => Refusal::Answered(Box::new(problem)),
        Err(_) => Refusal::Strange(status),
    }
}
