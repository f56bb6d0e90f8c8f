//! One connection to a peer, and the calls under way on it.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::Problem;
use bytes::Bytes;
use parking_lot::Mutex;
use tls::Standing;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::outbox::Outbox;
use super::wire::{Arrived, Caller, Frame, Incoming, status};
use super::{Call, MAX_CALLS};
use crate::connection::{Connection, Reader, Writer};

/// Calls in a row that run into their deadlines, nothing at all being heard meanwhile, before the connection is given up.
const SILENT_CALLS: u32 = 3;
/// Time for the calls under way when the peer would not be believed any more.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection is used. What is agreed upon at its beginning, such as the time the caller has, was true then, and clocks drift.
const LIFE: Duration = Duration::from_secs(600);
/// Longest answer: the peer bounds its own, this is for one that has lost its mind.
const LONGEST_ANSWER: usize = i32::MAX as usize;

/// Why a call has no body to show.
#[derive(Debug)]
pub(super) enum Failure {
    /// The peer answered with a problem.
    Problem(Box<Problem>),
    /// The peer answered something that cannot be read.
    Malformed(String),
    /// Not executed, and our own doing: too many calls are under way.
    Crowded,
    /// Not executed: this connection ended before the frame was read. Another one may do.
    Unsent(String),
    /// Not executed: the deadline came before the frame could be written.
    Unwritten,
    /// Outcome unknown.
    Unknown(String),
}

type Outcome = Result<Bytes, Failure>;

/// A connection; it is closed when the last holder lets go.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    outbox: Outbox,
    /// Whether the peer knows the place in a trace.
    traces: bool,
    /// Calls that ran into their deadlines since anything was heard.
    silent: AtomicU32,
}

#[derive(Debug, Default)]
struct Calls {
    last_id: u32,
    pending: HashMap<u32, oneshot::Sender<Outcome>>,
    /// Why there can be no more.
    closed: Option<String>,
}

impl Link {
    /// Takes over an upgraded connection; `first` is what has been read of it already, `traces` whether the peer knows the place in a
    /// trace.
    pub(super) fn new(stream: Connection, first: Bytes, traces: bool) -> Self {
        let shared = Arc::new(Shared {
            traces,
            ..Shared::default()
        });
        let standing = stream.standing();
        let (reader, writer) = stream.split();
        let driver = tokio::spawn(drive(Arc::clone(&shared), standing, reader, writer, first)).abort_handle();
        Self { shared, driver }
    }

    /// Whether no call can be made any more.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.calls.lock().closed.is_some()
    }

    /// Makes a call, and waits for its answer until the deadline.
    pub(super) async fn call(&self, call: Call, caller: &Caller, body: Bytes, until: Instant) -> Outcome {
        let (back, mut outcome) = oneshot::channel();
        let id = self.shared.begin(call, caller, body, until, back)?;
        let mut under_way = UnderWay {
            shared: &self.shared,
            id: Some(id),
        };
        let answer = tokio::time::timeout_at(until.into(), &mut outcome).await;
        under_way.id = None;
        if let Ok(answer) = answer {
            return answer.unwrap_or_else(|_| lost());
        }
        let Some(never_written) = self.shared.give_up(id) else {
            // The outcome came at the last moment: it is on its way through the channel.
            return outcome.await.unwrap_or_else(|_| lost());
        };
        if self.shared.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT_CALLS {
            self.shared
                .close(&format!("{SILENT_CALLS} calls in a row went without any answer"));
            self.driver.abort();
        }
        Err(if never_written {
            Failure::Unwritten
        } else {
            Failure::Unknown("no answer within the deadline".to_owned())
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn lost() -> Outcome {
    Err(Failure::Unknown("the connection was given up".to_owned()))
}

/// Takes the call back when its caller goes away.
struct UnderWay<'a> {
    shared: &'a Shared,
    id: Option<u32>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.give_up(id);
        }
    }
}

impl Shared {
    fn begin(
        &self,
        call: Call,
        caller: &Caller,
        body: Bytes,
        until: Instant,
        back: oneshot::Sender<Outcome>,
    ) -> Result<u32, Failure> {
        let mut calls = self.calls.lock();
        if let Some(why) = &calls.closed {
            return Err(Failure::Unsent(why.clone()));
        }
        if calls.pending.len() >= MAX_CALLS {
            return Err(Failure::Crowded);
        }
        let id = calls.last_id.wrapping_add(1);
        let Some(frame) = Frame::call(id, call, caller, self.traces, body, until) else {
            let detail = "the body is longer than a frame can be";
            return Err(Failure::Problem(Box::new(Problem::new(api::ErrorCode::TooLarge, detail))));
        };
        calls.last_id = id;
        calls.pending.insert(id, back);
        // Under the lock, so that frames leave in the order of their ids: a goodbye names the last that was read.
        self.outbox.push(frame);
        drop(calls);
        self.outbox.wake();
        Ok(id)
    }

    /// Forgets a call: whether its frame certainly never leaves whole. None when its outcome is known already.
    fn give_up(&self, id: u32) -> Option<bool> {
        self.calls.lock().pending.remove(&id)?;
        Some(self.outbox.revoke(id))
    }

    /// Ends all calls.
    fn close(&self, why: &str) {
        let mut calls = self.calls.lock();
        calls.closed.get_or_insert_with(|| why.to_owned());
        let pending = std::mem::take(&mut calls.pending);
        drop(calls);
        let unsent: HashSet<u32> = self.outbox.close().into_iter().collect();
        for (id, back) in pending {
            let failure = if unsent.contains(&id) {
                Failure::Unsent
            } else {
                Failure::Unknown
            };
            // A caller that went away needs no answer.
            drop(back.send(Err(failure(why.to_owned()))));
        }
    }

    /// The peer stopped reading after the call `last`: what came later is not executed, the rest is still answered.
    fn goodbye(&self, last: u32) {
        let why = "the peer is closing the connection";
        let mut calls = self.calls.lock();
        calls.closed.get_or_insert_with(|| why.to_owned());
        let later = |id: u32| id != last && id.wrapping_sub(last) < u32::MAX / 2;
        let unread: Vec<_> = calls.pending.extract_if(|id, _| later(*id)).collect();
        drop(calls);
        self.outbox.close();
        for (_, back) in unread {
            drop(back.send(Err(Failure::Unsent(why.to_owned()))));
        }
    }

    fn arrived(&self, answer: Arrived) {
        if answer.kind == status::GOODBYE {
            return self.goodbye(answer.id);
        }
        let Some(back) = self.calls.lock().pending.remove(&answer.id) else {
            return;
        };
        let outcome = match (answer.kind, answer.payload) {
            (status::DONE, Ok(body)) => Ok(body),
            (status::PROBLEM, Ok(body)) => Err(match serde_json::from_slice(&body) {
                Ok(problem) => Failure::Problem(Box::new(problem)),
                Err(error) => Failure::Malformed(format!("a problem that is none: {error}")),
            }),
            (_, Err(large)) => Err(Failure::Malformed(format!("an answer of {} bytes", large.bytes))),
            (kind, Ok(_)) => Err(Failure::Malformed(format!("an answer of the unknown status {kind}"))),
        };
        drop(back.send(outcome));
    }

    /// Whether the connection has nothing left to do.
    fn is_over(&self) -> bool {
        let calls = self.calls.lock();
        calls.closed.is_some() && calls.pending.is_empty()
    }
}

/// Fails the calls under way however the driver ends.
struct CloseAtLast<'a>(&'a Shared);

impl Drop for CloseAtLast<'_> {
    fn drop(&mut self) {
        self.0.close("the connection was given up");
    }
}

async fn drive(shared: Arc<Shared>, standing: Standing, reader: Reader, writer: Writer, first: Bytes) {
    let _closing = CloseAtLast(&shared);
    let why = tokio::select! {
        why = read(&shared, reader, Incoming::new(first, LONGEST_ANSWER)) => why,
        error = shared.outbox.run(&writer) => broken(&error),
        why = outlive(&shared, &standing) => why,
    };
    shared.close(&why);
}

/// Waits until the connection is old, or the peer would not be believed any more. New calls are then made on another connection; those
/// under way go on, in the second case for a while.
async fn outlive(shared: &Shared, standing: &Standing) -> String {
    let (why, drain) = tokio::select! {
        ended = standing.ended() => (format!("the certificate of the peer is {}", ended.as_str()), DRAIN),
        () = tokio::time::sleep(LIFE) => ("it is as old as connections get".to_owned(), Duration::MAX),
    };
    shared.calls.lock().closed.get_or_insert_with(|| why.clone());
    // Otherwise the last answer ends the connection.
    if !shared.is_over() {
        tokio::time::sleep(drain).await;
    }
    why
}

async fn read(shared: &Shared, mut reader: Reader, mut incoming: Incoming) -> String {
    loop {
        loop {
            match incoming.next() {
                Ok(Some(answer)) => shared.arrived(answer),
                Ok(None) => break,
                Err(garbled) => return garbled.to_string(),
            }
        }
        if shared.is_over() {
            return "the peer closed the connection".to_owned();
        }
        match reader.read_buf(&mut incoming.buffer).await {
            Ok(0) => return "the peer closed the connection".to_owned(),
            Ok(_) => shared.silent.store(0, Ordering::Relaxed),
            Err(error) => return broken(&error),
        }
    }
}

fn broken(error: &io::Error) -> String {
    format!("the connection broke: {error}")
}
