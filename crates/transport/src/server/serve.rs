//! The connection loop. `axum::serve` cannot bound the time a client takes to send its headers, so this is hyper's own.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::UPGRADE;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tls::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

use super::PeerAddress;
use super::connections::{ConnectionBounds, ConnectionSlot, Connections, Open};
use super::kept::Kept;
use super::metered::Metered;
use super::routes::Routes;
use crate::connection::Connection;

/// Time for answers under way when the node stops, or their client would not be let in any more.
const DRAIN: Duration = Duration::from_secs(10);

/// A port that is listened on, and how connections become encrypted ones, if they do.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    acceptor: Option<Acceptor>,
}

impl Listener {
    /// Encrypted when there is an acceptor.
    #[must_use]
    pub const fn new(tcp: TcpListener, acceptor: Option<Acceptor>) -> Self {
        Self { tcp, acceptor }
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp, None)
    }
}

/// Serves within the usual bounds until the token is cancelled, then lets the answers under way finish, and upgraded connections come to
/// their end.
pub async fn serve(listener: impl Into<Listener>, routes: impl Into<Routes>, stop: CancellationToken) {
    serve_within(listener, routes, ConnectionBounds::default(), stop).await;
}

/// [`serve`] within bounds of one's own.
pub async fn serve_within(
    listener: impl Into<Listener>,
    routes: impl Into<Routes>,
    bounds: ConnectionBounds,
    stop: CancellationToken,
) {
    let (Listener { tcp: listener, acceptor }, routes) = (listener.into(), routes.into());
    let connections = Arc::new(Connections::new(bounds));
    loop {
        let stream = tokio::select! {
            accepted = accept(&listener) => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let Some(slot) = connections.place(&stop).await else {
            break;
        };
        let (open, acceptor) = (connections.open(), acceptor.clone());
        tokio::spawn(begin(stream, acceptor, routes.clone(), (open, slot), stop.clone()));
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.ended()).await.is_err() {
        warn!(deadline = ?DRAIN, "some clients were still being answered at the deadline");
    }
}

/// Shakes hands where that is asked for, away from the loop that accepts, and then answers.
async fn begin(
    stream: TcpStream,
    acceptor: Option<Acceptor>,
    routes: Routes,
    (open, slot): (Open, ConnectionSlot),
    stop: CancellationToken,
) {
    let peer = stream.peer_addr().ok();
    let stream = match acceptor {
        None => Connection::Plain(stream),
        Some(acceptor) => tokio::select! {
            encrypted = acceptor.accept(stream, peer) => match encrypted {
                Some((encrypted, standing)) => Connection::Encrypted(Box::new(encrypted.into()), standing),
                None => return,
            },
            // Who has not shaken hands is the first to make room.
            () = open.connection.asked_to_go() => {
                open.of.count("no_room");
                return;
            }
            () = stop.cancelled() => return,
        },
    };
    converse(stream, peer.map(PeerAddress), routes, (open, slot), stop).await;
}

/// Answers the requests of one connection, until the client closes it, it has to make room, the client would not be let in any more, or the
/// node stops.
async fn converse(
    stream: Connection,
    peer: Option<PeerAddress>,
    routes: Routes,
    (open, slot): (Open, ConnectionSlot),
    stop: CancellationToken,
) {
    let connection = &open.connection;
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy = connection.begin();
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(slot.clone());
        }
        let answering = routes.current().call(request);
        async move {
            let response: Response<Body> = answering.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                busy.for_good();
                return Ok(response.map(|body| Kept::new(body, None)));
            }
            // Busy until the last byte of the answer has been handed over.
            Ok::<_, Infallible>(response.map(|body| Kept::new(body, Some(busy))))
        }
    });
    let standing = stream.standing();
    let stream = Metered::new(stream, Arc::clone(connection), Arc::clone(&open.of));
    let mut conversation = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(open.of.bounds.idle)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let (mut stopping, mut cut) = (false, None);
    let ended = loop {
        tokio::select! {
            // A request that has come is answered rather than turned away.
            biased;
            ended = &mut conversation => break ended,
            () = connection.asked_to_go() => if connection.may_go() {
                open.of.count("no_room");
                return;
            },
            ended = standing.ended(), if cut.is_none() => {
                debug!(reason = ended.as_str(), "the client would not be let in any more: its connection ends");
                cut = Some(Instant::now() + DRAIN);
                conversation.as_mut().graceful_shutdown();
            }
            () = until(cut) => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                conversation.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}

/// Never, without a deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
