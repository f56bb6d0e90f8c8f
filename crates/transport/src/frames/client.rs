//! The client side: one connection to each peer, made when it is needed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::{Mutex, RwLock};
use telemetry::traces::ActiveSpan;

use super::connect::{Hello, connect};
use super::link::{Failure, Link};
use super::wire::Caller;
use super::{Call, MAX_CALLS, PATH};
use crate::current::Current;
use crate::peer::{PeerClient, PeerError};

/// Calls peers in frames; clones share the connections. Token, connect time-out, circuit breakers and figures are those of
/// the [`PeerClient`].
#[derive(Debug, Clone)]
pub struct FrameClient {
    peers: PeerClient,
    hello: Hello,
    ways: Arc<RwLock<HashMap<String, Arc<Way>>>>,
    guarded: bool,
}

/// The way to one peer.
#[derive(Debug, Default)]
struct Way(Mutex<Stage>);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Closed,
    /// All who want the connection wait for the same attempt, and share its outcome.
    Connecting(Shared<BoxFuture<'static, Result<Arc<Link>, PeerError>>>),
    Open(Arc<Link>),
}

impl FrameClient {
    /// A client without connections yet.
    #[must_use]
    pub fn new(peers: PeerClient) -> Self {
        Self {
            peers,
            hello: Hello { path: PATH, time: None },
            ways: Arc::default(),
            guarded: true,
        }
    }

    /// Speaks frames at another path than the usual one: what is served by [`frames_route`](super::frames_route) there.
    #[must_use]
    pub fn at(mut self, path: &'static str) -> Self {
        self.hello.path = path;
        self
    }

    /// Tells peers what time it is here (Unix milliseconds) when a connection begins, so that they can read points in time in calls.
    /// It must be a clock that nobody sets while the process runs.
    #[must_use]
    pub fn telling(mut self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.hello.time = Some(Arc::new(now_ms));
        self
    }

    /// Neither asks a peer's breaker nor tells it, or the figures, how a call ended: for protocols that have their own ideas
    /// of when to try again.
    #[must_use]
    pub fn unguarded(mut self) -> Self {
        self.guarded = false;
        self
    }

    /// Calls `peer` (`host:port`) and waits for the answer, until the deadline at most. The answer is a slice of the
    /// connection's buffer: copy what is to be kept.
    ///
    /// # Errors
    /// [`PeerError`]; see [the module](super) for what each says about the execution.
    pub async fn call(&self, peer: &str, call: Call, body: Bytes, deadline: Duration) -> Result<Bytes, PeerError> {
        if self.guarded {
            self.peers.inner.admit(peer)?;
        }
        let until = Instant::now() + deadline;
        let mut caller = Current::look(|current| Caller {
            request: Some(current.id.clone()),
            trace: current.trace,
        })
        .unwrap_or_default();
        let span = self.peers.span(caller.trace, "frame", peer);
        caller.trace = span.as_ref().and_then(ActiveSpan::context).or(caller.trace);
        let (outcome, here) = match self.attempt(peer, call, &caller, &body, until).await {
            Err(Failed::Here(error)) => (Err(error), true),
            Err(Failed::There(error)) => (Err(error), false),
            Ok(answer) => (Ok(answer), false),
        };
        if let Some(mut span) = span {
            if let Err(error) = &outcome {
                span.fail(error.name());
            }
            span.end();
        }
        if self.guarded && !here {
            self.peers.inner.record(peer, &outcome);
        }
        outcome
    }

    /// Forgets the connections to peers that are not known any more; calls under way there still end.
    pub fn retain(&self, known: impl Fn(&str) -> bool) {
        self.ways.write().retain(|peer, _| known(peer));
    }

    async fn attempt(&self, peer: &str, call: Call, caller: &Caller, body: &Bytes, until: Instant) -> Result<Bytes, Failed> {
        let mut connections = 0;
        loop {
            connections += 1;
            let link = self.link(peer, until).await.map_err(Failed::There)?;
            let failure = match link.call(call, caller, body.clone(), until).await {
                Ok(answer) => return Ok(answer),
                // The peer closed an idle connection, or was started anew: one that is made now says how it is.
                Err(Failure::Unsent(_)) if connections == 1 => continue,
                Err(failure) => failure,
            };
            return Err(failure.of(peer));
        }
    }

    /// The connection to a peer, made now if there is none.
    async fn link(&self, peer: &str, until: Instant) -> Result<Arc<Link>, PeerError> {
        let known = self.ways.read().get(peer).map(Arc::clone);
        let way = known.unwrap_or_else(|| Arc::clone(self.ways.write().entry(peer.to_owned()).or_default()));
        let connecting = {
            let mut stage = way.0.lock();
            match &*stage {
                Stage::Open(link) if !link.is_closed() => return Ok(Arc::clone(link)),
                Stage::Connecting(attempt) => attempt.clone(),
                Stage::Open(_) | Stage::Closed => {
                    let attempt = Way::open(Arc::clone(&way), self.peers.clone(), peer.to_owned(), self.hello.clone())
                        .boxed()
                        .shared();
                    // Goes on when those who wait for it leave.
                    tokio::spawn(attempt.clone());
                    *stage = Stage::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        let connected = tokio::time::timeout_at(until.into(), connecting).await;
        connected.unwrap_or_else(|_| {
            Err(PeerError::Unreachable {
                peer: peer.to_owned(),
                detail: "no connection within the deadline".to_owned(),
            })
        })
    }
}

impl Way {
    async fn open(self: Arc<Self>, peers: PeerClient, peer: String, hello: Hello) -> Result<Arc<Link>, PeerError> {
        let link = connect(&peers, &peer, &hello).await.map(Arc::new);
        *self.0.lock() = link.as_ref().map_or(Stage::Closed, |link| Stage::Open(Arc::clone(link)));
        link
    }
}

/// Whom a failure is laid to.
enum Failed {
    /// This side: the peer's breaker is not told.
    Here(PeerError),
    /// The peer.
    There(PeerError),
}

impl Failure {
    fn of(self, peer: &str) -> Failed {
        let peer = peer.to_owned();
        Failed::There(match self {
            Self::Crowded => {
                let detail = format!("{MAX_CALLS} calls to it are under way");
                return Failed::Here(PeerError::Unreachable { peer, detail });
            }
            Self::Problem(problem) => PeerError::Answered { peer, problem },
            Self::Malformed(detail) => PeerError::Malformed { peer, detail },
            Self::Unsent(detail) => PeerError::Unreachable { peer, detail },
            Self::Unwritten => PeerError::Unreachable {
                peer,
                detail: "it takes nothing in: the call was not sent within its deadline".to_owned(),
            },
            Self::Unknown(detail) => PeerError::NoAnswer { peer, detail },
        })
    }
}
