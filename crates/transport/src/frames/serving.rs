//! The server side of one connection: calls in, answers out, and an orderly end.

use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use bytes::Bytes;
use futures::FutureExt;
use telemetry::traces::{ActiveSpan, Kind};
use tls::Standing;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, error, info_span};

use super::outbox::Outbox;
use super::route::FrameHandler;
use super::wire::{Arrived, Caller, Frame, Garbled, Incoming, open_call};
use super::{Call, FrameMetrics, MAX_CALLS};
use crate::ApiError;
use crate::connection::{Connection as Stream, Reader, Writer};
use crate::current::Current;

/// A connection on which nothing came for so long is closed: its peer may be gone without a word.
const IDLE: Duration = Duration::from_secs(75);
/// Longest time for an answer; callers have deadlines of their own, far shorter.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// Time for the answers under way, and then for the peer to close its side, when a connection ends.
const DRAIN: Duration = Duration::from_secs(10);

/// What all connections of a route share.
pub(super) struct Serving {
    pub(super) handler: Arc<dyn FrameHandler>,
    pub(super) metrics: Arc<FrameMetrics>,
    pub(super) max_frame_bytes: usize,
    pub(super) handled: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// One connection.
struct Connection<'a> {
    serving: &'a Serving,
    handler: Arc<dyn FrameHandler>,
    standing: Standing,
    incoming: Incoming,
    /// Whether the peer says the place in a trace.
    traces: bool,
    outbox: Arc<Outbox>,
    /// Calls that were not answered at once.
    waiting: TaskTracker,
    last_id: u32,
}

/// Answers calls until the peer goes away, is silent for too long, would not be let in any more, or the node stops.
pub(super) async fn serve(serving: &Serving, handler: Arc<dyn FrameHandler>, stream: Stream, first: Bytes, traces: bool) {
    let standing = stream.standing();
    let (mut reader, mut writer) = stream.split();
    serving.metrics.connections.inc();
    let mut connection = Connection {
        serving,
        handler,
        standing,
        incoming: Incoming::new(first, serving.max_frame_bytes),
        traces,
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
    serving.metrics.connections.dec();
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
    async fn run(&mut self, reader: &mut Reader, writer: &Writer) -> Result<End, Broken> {
        let (stop, outbox, standing) = (&self.serving.stop, Arc::clone(&self.outbox), self.standing.clone());
        tokio::select! {
            ended = self.read(reader, writer) => ended,
            error = outbox.run(writer) => Err(error.into()),
            () = stop.cancelled() => Ok(End::Ours),
            _ = standing.ended() => Ok(End::Ours),
        }
    }

    async fn read(&mut self, reader: &mut Reader, writer: &Writer) -> Result<End, Broken> {
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
        let answering = Answering {
            id: arrived.id,
            kind: arrived.kind,
            began: Instant::now(),
            handler: Arc::clone(&self.handler),
            metrics: Arc::clone(&self.serving.metrics),
        };
        let payload = match arrived.payload {
            Ok(payload) => payload,
            Err(large) => {
                let (bytes, limit) = (large.bytes, self.serving.max_frame_bytes);
                let detail = format!("a call of {bytes} bytes was not executed: the limit here is {limit}");
                self.outbox.push(answering.refuse(ErrorCode::TooLarge, detail));
                return Ok(());
            }
        };
        let (call, caller, body) = open_call(arrived.kind, payload, self.traces)?;
        let permit = match Arc::clone(&self.serving.handled).try_acquire_owned() {
            Ok(permit) if self.waiting.len() < MAX_CALLS => permit,
            _ => {
                let detail = "this node is answering as many calls as it can; this one was not executed";
                self.outbox.push(answering.refuse(ErrorCode::Unavailable, detail.to_owned()));
                return Ok(());
            }
        };
        let mut answer = Box::pin(answering.clone().answer(call, caller, body));
        if let Some(frame) = (&mut answer).now_or_never() {
            self.outbox.push(frame);
            return Ok(());
        }
        let outbox = Arc::clone(&self.outbox);
        self.waiting.spawn(async move {
            let frame = tokio::time::timeout(LONGEST_CALL, answer).await.unwrap_or_else(|_| {
                let detail = format!("no answer within {LONGEST_CALL:?}; the call may or may not have been executed");
                answering.refuse(ErrorCode::Timeout, detail)
            });
            drop(permit);
            outbox.push(frame);
            outbox.wake();
        });
        Ok(())
    }

    /// Says which call was the last that is answered, answers it and those before, and closes. What comes meanwhile is read
    /// and thrown away: closing a connection with unread bytes would make the peer lose the answers it has not read yet.
    async fn say_goodbye(&self, reader: &mut Reader, writer: &mut Writer) -> io::Result<()> {
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

/// A call on its way to its answer.
#[derive(Clone)]
struct Answering {
    id: u32,
    kind: u8,
    began: Instant,
    handler: Arc<dyn FrameHandler>,
    metrics: Arc<FrameMetrics>,
}

impl Answering {
    /// The answer, whatever the handler does; as the request of the caller, if there is one.
    async fn answer(self, call: Call, caller: Caller, body: Bytes) -> Frame {
        let Caller { request, trace } = caller;
        let mut span = self.metrics.tracer.follow(trace, Kind::Server, "");
        if let Some(span) = &mut span {
            span.rename(format!("frame {}", self.handler.name(self.kind)));
        }
        let trace = span.as_ref().and_then(ActiveSpan::context).or(trace);
        let (outcome, frame) = match request {
            None => self.handle(call, body).await,
            Some(id) => {
                let named = info_span!("frame", %id, kind = call.kind);
                let current = Current { id, asked: None, trace };
                current.scope(self.handle(call, body)).instrument(named).await
            }
        };
        if let Some(mut span) = span {
            let status = outcome.map_or_else(ErrorCode::status, |()| 200);
            span.set("http.response.status_code", status);
            if status >= 500 {
                span.fail(status.to_string());
            }
            span.end();
        }
        frame
    }

    /// What came of the call, and its answer.
    async fn handle(&self, call: Call, body: Bytes) -> (Result<(), ErrorCode>, Frame) {
        let outcome = AssertUnwindSafe(self.handler.handle(call, body)).catch_unwind().await;
        let refuse = |code, detail: &str| (Err(code), self.refuse(code, detail.to_owned()));
        match outcome {
            Ok(Ok(body)) => match Frame::answer(self.id, body) {
                Some(frame) => {
                    self.count(Ok(()));
                    (Ok(()), frame)
                }
                None => refuse(ErrorCode::TooLarge, "the answer is longer than a frame can be"),
            },
            Ok(Err(error)) => {
                self.count(Err(error.code));
                (Err(error.code), Frame::problem(self.id, &error.problem()))
            }
            Err(_) => {
                error!(kind = call.kind, "the handler of a call panicked");
                refuse(ErrorCode::Internal, "something broke on the peer's side; its log has more")
            }
        }
    }

    fn refuse(&self, code: ErrorCode, detail: String) -> Frame {
        self.count(Err(code));
        Frame::problem(self.id, &ApiError::new(code, detail).problem())
    }

    fn count(&self, outcome: Result<(), ErrorCode>) {
        let name = self.handler.name(self.kind);
        self.metrics.answered(self.kind, name, outcome, self.began.elapsed());
    }
}
