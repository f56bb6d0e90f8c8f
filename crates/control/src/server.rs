//! The masters' side of [`RemoteStore`](crate::remote::RemoteStore): the store over HTTP, on the private port.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use transport::{ApiError, read_body};

use crate::remote::wire::{self, Frame, WatchRequest};
use crate::types::{Consistency, LeaseId, Range, Txn};
use crate::{ControlStore, Error, Result, Watch};

/// A watch without events says so often that its server is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

type Answer = std::result::Result<Response, ApiError>;

#[derive(Debug, Clone)]
struct Served {
    store: Arc<dyn ControlStore>,
    stop: CancellationToken,
}

/// The routes, to be mounted at `/internal/v1/control`. Watches under way hold up a draining server; see
/// [`router_until`].
pub fn router(store: Arc<dyn ControlStore>) -> Router {
    router_until(store, CancellationToken::new())
}

/// The routes, to be mounted at `/internal/v1/control`; watches end, with an error that sends their owners to another
/// master, when `stop` is cancelled.
pub fn router_until(store: Arc<dyn ControlStore>, stop: CancellationToken) -> Router {
    Router::new()
        .route(wire::GET, post(get))
        .route(wire::RANGE, post(range))
        .route(wire::TXN, post(txn))
        .route(wire::GRANT, post(grant))
        .route(wire::KEEP_ALIVE, post(keep_alive))
        .route(wire::REVOKE, post(revoke))
        .route(wire::WATCH, post(watch))
        .route(wire::MASTERS, post(masters))
        .with_state(Served { store, stop })
}

async fn get(State(served): State<Served>, body: Body) -> Answer {
    let (key, consistency): (String, Consistency) = read(body).await?;
    write(&served.store.get(&key, consistency).await)
}

async fn range(State(served): State<Served>, body: Body) -> Answer {
    let (range, consistency): (Range, Consistency) = read(body).await?;
    write(&served.store.range(range, consistency).await)
}

async fn txn(State(served): State<Served>, body: Body) -> Answer {
    let txn: Txn = read(body).await?;
    write(&served.store.txn(txn).await)
}

async fn grant(State(served): State<Served>, body: Body) -> Answer {
    let ttl: Duration = read(body).await?;
    write(&served.store.lease_grant(ttl).await)
}

async fn keep_alive(State(served): State<Served>, body: Body) -> Answer {
    let lease: LeaseId = read(body).await?;
    write(&served.store.keep_alive(lease).await)
}

async fn revoke(State(served): State<Served>, body: Body) -> Answer {
    let lease: LeaseId = read(body).await?;
    write(&served.store.revoke(lease).await)
}

async fn masters(State(served): State<Served>) -> Answer {
    write(&Ok(served.store.masters()))
}

async fn watch(State(served): State<Served>, body: Body) -> Answer {
    let request: WatchRequest = read(body).await?;
    let opened = served.store.watch(request.prefix, request.from).await;
    let frames = stream::unfold(Serving::new(opened, served.stop), |mut serving| async {
        let frame = serving.next().await?;
        let bytes = wire::encode_frame(&frame).ok()?;
        Some((bytes, serving))
    });
    Ok(Body::from_stream(infallible(frames)).into_response())
}

fn infallible(frames: impl Stream<Item = Bytes>) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> {
    frames.map(Ok)
}

/// A watch being sent.
struct Serving {
    /// What comes first: a sign that the watch stands, or why it does not.
    first: Option<Frame>,
    watch: Option<Watch>,
    stop: CancellationToken,
}

impl Serving {
    fn new(opened: Result<Watch>, stop: CancellationToken) -> Self {
        let (first, watch) = match opened {
            Ok(watch) => (Frame::Alive, Some(watch)),
            Err(error) => (Frame::End(error), None),
        };
        let first = Some(first);
        Self { first, watch, stop }
    }

    async fn next(&mut self) -> Option<Frame> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let watch = self.watch.as_mut()?;
        let frame = tokio::select! {
            item = watch.next() => match item {
                Some(Ok(events)) => Frame::Events(events),
                Some(Err(error)) => Frame::End(error),
                None => Frame::End(Error::Unavailable("the watch ended".to_owned())),
            },
            () = tokio::time::sleep(HEARTBEAT) => Frame::Alive,
            () = self.stop.cancelled() => Frame::End(Error::Unavailable("this master is stopping".to_owned())),
        };
        if matches!(frame, Frame::End(_)) {
            self.watch = None;
        }
        Some(frame)
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> std::result::Result<T, ApiError> {
    let bytes = read_body(body, wire::MAX_REQUEST).await?;
    Ok(wire::decode(&bytes)?)
}

fn write<T: Serialize>(outcome: &Result<T>) -> Answer {
    let body = wire::encode(outcome).map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    Ok(body.into_response())
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Damaged(_) => Self::internal(&error),
            other => Self::new(other.code(), other.to_string()),
        }
    }
}
