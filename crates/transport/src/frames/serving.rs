//! The server side of one connection: calls in, answers out, and an orderly end.

use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use bytes::Bytes;
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info_span};

use super::outbox::Outbox;
use super::route::FrameHandler;
use super::wire::{Arrived, Frame, Garbled, Incoming, open_call};
use super::{Call, MAX_CALLS};
use crate::{ApiError, RequestId};

/// A connection on which nothing came for so long is closed: its peer may be gone without a word.
const IDLE: Duration = Duration::from_secs(75);
/// Longest time for an answer; callers have deadlines of their own, far shorter.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// Time for the answers under way, and then for the peer to close its side, when a connection ends.
const DRAIN: Duration = Duration::from_secs(10);

/// What all connections of a route share.
pub(super) struct Serving {
    pub(super) handler: Arc<dyn FrameHandler>,
    pub(super) max_frame_bytes: usize,
    pub(super) handled: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// One connection.
struct Connection<'a> {
    serving: &'a Serving,
    incoming: Incoming,
    outbox: Arc<Outbox>,
    /// Calls that were not answered at once.
    waiting: TaskTracker,
    last_id: u32,
}

/// Answers calls until the peer goes away, is silent for too long, or the node stops.
pub(super) async fn serve(serving: &Serving, stream: TcpStream, first: Bytes) {
    let (mut reader, mut writer) = stream.into_split();
    let mut connection = Connection {
        serving,
        incoming: Incoming::new(first, serving.max_frame_bytes),
        outbox: Arc::default(),
        waiting: TaskTracker::new(),
        last_id: 0,
    };
    match connection.run(&mut reader, &writer).await {
        Ok(End::Gone) => {}
        Ok(End::Ours) => {
            let farewell = connection.say_goodbye(&mut reader, &mut writer);
            if !matches!(tokio::time::timeout(DRAIN, farewell).await, Ok(Ok(()))) {
                debug!("a peer did not take all its answers before the connection was closed");
            }
        }
        Err(error) => debug!(%error, "a connection of frames broke"),
    }
}

/// Why a connection ends.
enum End {
    /// The peer closed it.
    Gone,
    /// This side does.
    Ours,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Connection(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] Garbled),
}

impl Connection<'_> {
    async fn run(&mut self, reader: &mut OwnedReadHalf, writer: &OwnedWriteHalf) -> Result<End, Broken> {
        let (stop, outbox) = (&self.serving.stop, Arc::clone(&self.outbox));
        tokio::select! {
            ended = self.read(reader, writer) => ended,
            error = outbox.run(writer) => Err(error.into()),
            () = stop.cancelled() => Ok(End::Ours),
        }
    }

    async fn read(&mut self, reader: &mut OwnedReadHalf, writer: &OwnedWriteHalf) -> Result<End, Broken> {
        let (mut last_heard, mut idle) = (Instant::now(), pin!(tokio::time::sleep(IDLE)));
        loop {
            while let Some(arrived) = self.incoming.next()? {
                self.take(arrived)?;
            }
            // All that was answered at once leaves together. While the peer takes no answers, nothing more is read.
            self.outbox.flush_all(writer).await?;
            tokio::select! {
                biased;
                read = reader.read_buf(&mut self.incoming.buffer) => match read? {
                    0 => return Ok(End::Gone),
                    _ => last_heard = Instant::now(),
                },
                // Set anew only when it is over: that is cheaper than once for each read.
                () = &mut idle => match last_heard + IDLE {
                    until if until <= Instant::now() => return Ok(End::Ours),
                    until => idle.as_mut().reset(until),
                },
            }
        }
    }

    /// Begins to answer a call; whatever needs no waiting is answered on the spot.
    fn take(&mut self, arrived: Arrived) -> Result<(), Garbled> {
        self.last_id = arrived.id;
        let payload = match arrived.payload {
            Ok(payload) => payload,
            Err(large) => {
                let (bytes, limit) = (large.bytes, self.serving.max_frame_bytes);
                let detail = format!("a call of {bytes} bytes was not executed: the limit here is {limit}");
                self.outbox.push(refusal(arrived.id, ErrorCode::TooLarge, detail));
                return Ok(());
            }
        };
        let (call, request, body) = open_call(arrived.kind, payload)?;
        let permit = match Arc::clone(&self.serving.handled).try_acquire_owned() {
            Ok(permit) if self.waiting.len() < MAX_CALLS => permit,
            _ => {
                let detail = "this node is answering as many calls as it can; this one was not executed";
                self.outbox
                    .push(refusal(arrived.id, ErrorCode::Unavailable, detail.to_owned()));
                return Ok(());
            }
        };
        let mut answering = Box::pin(answer(Arc::clone(&self.serving.handler), arrived.id, call, request, body));
        if let Some(frame) = (&mut answering).now_or_never() {
            self.outbox.push(frame);
            return Ok(());
        }
        let (outbox, id) = (Arc::clone(&self.outbox), arrived.id);
        self.waiting.spawn(async move {
            let frame = tokio::time::timeout(LONGEST_CALL, answering).await.unwrap_or_else(|_| {
                let detail = format!("no answer within {LONGEST_CALL:?}; the call may or may not have been executed");
                refusal(id, ErrorCode::Timeout, detail)
            });
            drop(permit);
            outbox.push(frame);
            outbox.wake();
        });
        Ok(())
    }

    /// Says which call was the last that is answered, answers it and those before, and closes. What comes meanwhile is read
    /// and thrown away: closing a connection with unread bytes would make the peer lose the answers it has not read yet.
    async fn say_goodbye(&self, reader: &mut OwnedReadHalf, writer: &mut OwnedWriteHalf) -> io::Result<()> {
        self.outbox.push(Frame::goodbye(self.last_id));
        self.outbox.wake();
        self.waiting.close();
        tokio::select! {
            () = self.waiting.wait() => {}
            error = self.outbox.run(writer) => return Err(error),
        }
        self.outbox.flush_all(writer).await?;
        writer.shutdown().await?;
        let mut nowhere = tokio::io::empty();
        tokio::io::copy(reader, &mut nowhere).await.map(drop)
    }
}

/// The answer to a call, whatever the handler does.
async fn answer(handler: Arc<dyn FrameHandler>, id: u32, call: Call, request: Option<RequestId>, body: Bytes) -> Frame {
    let handling = async {
        let outcome = AssertUnwindSafe(handler.handle(call, body)).catch_unwind().await;
        match outcome {
            Ok(Ok(body)) => {
                let too_large = || refusal(id, ErrorCode::TooLarge, "the answer is longer than a frame can be".to_owned());
                Frame::answer(id, body).unwrap_or_else(too_large)
            }
            Ok(Err(error)) => Frame::problem(id, &error.problem()),
            Err(_) => {
                error!(kind = call.kind, "the handler of a call panicked");
                let detail = "something broke on the peer's side; its log has more";
                refusal(id, ErrorCode::Internal, detail.to_owned())
            }
        }
    };
    match request {
        Some(request) => {
            let span = info_span!("frame", id = %request, kind = call.kind);
            request.scope(handling).instrument(span).await
        }
        None => handling.await,
    }
}

fn refusal(id: u32, code: ErrorCode, detail: String) -> Frame {
    Frame::problem(id, &ApiError::new(code, detail).problem())
}
