//! Watches through a master, opened again at the next one when it is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;
use transport::peer::{PeerError, Retry};

use super::wire::{self, Frame, WatchRequest};
use super::{Masters, REQUEST_TIMEOUT, peer_failure, unreadable};
use crate::failover::Failover;
use crate::server::HEARTBEAT;
use crate::types::{Event, Revision};
use crate::{Error, Result, Watch};

/// A master that misses so many heartbeats is gone.
const SILENCE: Duration = HEARTBEAT.saturating_mul(3);
/// How long to look for a master before the watch ends with an error.
const PATIENCE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Opens a watch from a revision, inclusive; it is in force when this returns.
pub(super) async fn open(masters: Arc<Masters>, prefix: String, from: Revision) -> Result<Watch> {
    let mut watching = Watching {
        masters,
        prefix,
        next: from,
        connection: None,
    };
    watching.connect(REQUEST_TIMEOUT).await?;
    Ok(Box::pin(stream::unfold(Some(watching), |watching| async {
        let mut watching = watching?;
        match watching.next_item().await {
            Ok(events) => Some((Ok(events), Some(watching))),
            Err(error) => Some((Err(error), None)),
        }
    })))
}

struct Watching {
    masters: Arc<Masters>,
    prefix: String,
    /// Nothing from this revision on was handed out.
    next: Revision,
    connection: Option<Connection>,
}

/// The answer of one master, as it comes in.
struct Connection {
    /// The masters as they were known then.
    failover: Arc<Failover>,
    master: usize,
    body: Pin<Box<dyn Stream<Item = std::result::Result<Bytes, PeerError>> + Send>>,
    buffer: BytesMut,
}

impl Watching {
    async fn next_item(&mut self) -> Result<Vec<Event>> {
        loop {
            let Some(connection) = &mut self.connection else {
                self.connect(PATIENCE).await?;
                continue;
            };
            let lost = match connection.receive().await {
                Ok(Frame::Alive) => continue,
                Ok(Frame::Events(events)) => {
                    let last = events.last().map_or(0, Event::revision);
                    self.next = self.next.max(last + 1);
                    return Ok(events);
                }
                Ok(Frame::End(error)) | Err(error) => error,
            };
            if !is_transient(&lost) {
                return Err(lost);
            }
            debug!(prefix = self.prefix, next = self.next, error = %lost, "watch lost, opening it again");
            connection.failover.leave(connection.master, &lost);
            self.connection = None;
        }
    }

    /// Finds a master that serves the watch.
    async fn connect(&mut self, patience: Duration) -> Result<()> {
        let give_up = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let failover = self.masters.failover();
            let master = failover.current();
            let opening = Connection::open(&self.masters, &failover, master, &self.prefix, self.next);
            let error = match timeout(failover.attempt(), opening).await {
                Ok(Ok(connection)) => {
                    self.connection = Some(connection);
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(_) => Error::Unavailable("the master did not answer to a new watch".to_owned()),
            };
            failover.leave(master, &error);
            if !is_transient(&error) || Instant::now() + pause >= give_up {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

impl Connection {
    async fn open(masters: &Masters, failover: &Arc<Failover>, master: usize, prefix: &str, from: Revision) -> Result<Self> {
        let request = WatchRequest {
            prefix: prefix.to_owned(),
            from,
        };
        let address = failover.address(master);
        let request = masters
            .client
            .post(address, &format!("{}{}", wire::BASE, wire::WATCH))
            .body(wire::CONTENT_TYPE, wire::encode(&request)?)
            .retry(Retry::Never);
        let response = request.send().await.map_err(|error| peer_failure(&error).error)?;
        let mut connection = Self {
            failover: Arc::clone(failover),
            master,
            body: Box::pin(response.stream()),
            buffer: BytesMut::new(),
        };
        match connection.receive().await? {
            Frame::Alive => Ok(connection),
            Frame::End(error) => Err(error),
            Frame::Events(_) => Err(unreadable(
                address,
                &Error::Invalid("events before the watch stood".to_owned()),
            )),
        }
    }

    async fn receive(&mut self) -> Result<Frame> {
        loop {
            let frame = wire::take_frame(&mut self.buffer).map_err(|error| unreadable("the master", &error))?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            match timeout(SILENCE, self.body.next()).await {
                Ok(Some(Ok(bytes))) => self.buffer.extend_from_slice(&bytes),
                Ok(Some(Err(error))) => return Err(Error::Unavailable(error.to_string())),
                Ok(None) => return Err(Error::Unavailable("the master closed the watch".to_owned())),
                Err(_) => return Err(Error::Unavailable("the master is silent on the watch".to_owned())),
            }
        }
    }
}

const fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Timeout(_))
}
