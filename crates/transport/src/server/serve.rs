//! The connection loop. `axum::serve` cannot bound the time a client takes to send its headers, so this is hyper's own.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::{debug, warn};

use super::PeerAddress;
use super::routes::Routes;

/// Time for a client to send its headers, and for an idle connection to be used again. Longer than the minute for which
/// NGINX keeps an idle upstream connection, so that it is never NGINX who finds a connection closed under a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Open connections of one listener; more wait in the accept queue.
const MAX_CONNECTIONS: u32 = 16_384;
/// Time for answers under way when the node stops.
const DRAIN: Duration = Duration::from_secs(10);

/// A place among the connections of a listener, taken as long as a clone lives. Requests for an upgrade carry one, for
/// whoever goes on with the connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot {
    _place: Arc<OwnedSemaphorePermit>,
}

/// Serves until the token is cancelled, then lets the answers under way finish, and upgraded connections come to their end.
pub async fn serve(listener: TcpListener, routes: impl Into<Routes>, stop: CancellationToken) {
    let routes = routes.into();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
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
        let Ok(place) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        let slot = ConnectionSlot { _place: Arc::new(place) };
        tokio::spawn(converse(stream, routes.clone(), slot, stop.clone()));
    }
    drop(listener);
    // All places are free again when all connections have ended.
    if tokio::time::timeout(DRAIN, slots.acquire_many(MAX_CONNECTIONS))
        .await
        .is_err()
    {
        warn!(deadline = ?DRAIN, "some clients were still being answered at the deadline");
    }
}

/// Answers the requests of one connection, until the client closes it, or the node stops.
async fn converse(stream: TcpStream, routes: Routes, slot: ConnectionSlot, stop: CancellationToken) {
    let peer = stream.peer_addr().ok().map(PeerAddress);
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(slot.clone());
        }
        routes.current().call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
