//! Natural batching: what waits while a call to an auxiliary is under way travels together in the next one.
//!
//! A [`Lane`] leads to one life of one auxiliary under one ring. Its carrier takes everything that waits, sends it as one
//! frame and hands the replies back. An idle lane adds no delay; a busy one makes larger frames, so that the cost of a call
//! is shared. One frame of reads at a time, for a second one would only make both smaller; but what waits behind a slow one (a
//! write that waits for a replica) goes on its own way after a moment.

use std::sync::Arc;
use std::time::Duration;

use api::cache::{BatchFrame, FrameReply, ReplyFrame};
use bytes::Bytes;
use cluster::{Owner, Routing};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use telemetry::{Metrics, Registry};
use tokio::sync::{mpsc, oneshot};
use transport::Traced;

use super::operation::{Operation, Said};
use crate::batching::{fitting, gather};
use crate::{CallError, Kind, Peers, Rings};

/// Bundles that may wait for one auxiliary; more are refused.
const QUEUE: usize = 8192;
/// Bundles in one frame.
const FRAME_BUNDLES: usize = 512;
/// A frame is closed once its values have so many bytes; a larger bundle travels alone.
const FRAME_BYTES: usize = 1 << 20;
/// How long a frame may hold up the next one.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long an owner that is no more named by the ring may take to answer.
const GRACE: Duration = Duration::from_millis(500);
/// Frames under way when earlier ones are slow.
const MAX_UNDER_WAY: usize = 16;

/// What all lanes share.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) peers: Arc<dyn Peers>,
    pub(super) rings: Arc<dyn Rings>,
    batch_size: prometheus::Histogram,
}

impl Ways {
    pub(super) fn new(peers: Arc<dyn Peers>, rings: Arc<dyn Rings>, registry: &Registry) -> Arc<Self> {
        let buckets = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        let help = "Operations that travelled together to an auxiliary.";
        let batch_size = Metrics::new(registry).histogram("cache_batch_operations", help, &buckets);
        Arc::new(Self {
            peers,
            rings,
            batch_size,
        })
    }
}

/// An operation on its way, with the stamp it goes under (0 for reads).
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) operation: Operation,
    pub(super) version: u64,
    /// Whether an attempt under this stamp may have been executed.
    pub(super) unsure: bool,
}

impl Stamped {
    pub(super) const fn new(operation: Operation, version: u64) -> Self {
        Self {
            operation,
            version,
            unsure: false,
        }
    }
}

/// How an operation came back from the lane.
#[derive(Debug)]
pub(super) enum Carried {
    /// The auxiliary said something about it.
    Said(Said),
    /// It never got there.
    Not(CallError),
}

/// Operations for one owner that are answered together; each comes back with its outcome, so that it can be sent elsewhere.
#[derive(Debug)]
struct Bundle {
    operations: Vec<Stamped>,
    back: oneshot::Sender<Vec<(Stamped, Carried)>>,
    /// The request they are for, when its trace is recorded.
    traced: Option<Box<Traced>>,
}

impl Bundle {
    fn weight(&self) -> usize {
        self.operations.iter().map(|stamped| stamped.operation.action.weight()).sum()
    }

    fn answer(self, mut carried: impl FnMut() -> Carried) {
        // Nobody waits any more when the client is gone.
        drop(
            self.back
                .send(self.operations.into_iter().map(|stamped| (stamped, carried())).collect()),
        );
    }
}

/// The way to one life of one auxiliary, for reads or for writes.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    queue: mpsc::Sender<Bundle>,
}

impl Lane {
    /// Opens the way; it closes when the last clone is dropped. Frames are given up after `deadline`; `at_once` of them may be
    /// under way before any proves slow.
    pub(super) fn open(owner: Owner, routing: Arc<Routing>, deadline: Duration, at_once: usize, ways: Arc<Ways>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let carrier = Carrier {
            owner,
            routing,
            deadline,
            at_once,
            ways,
        };
        tokio::spawn(carrier.run(waiting));
        Self { queue }
    }

    /// Sends operations and waits for their outcomes, in order.
    pub(super) async fn carry(&self, operations: Vec<Stamped>) -> Vec<(Stamped, Carried)> {
        let (back, outcome) = oneshot::channel();
        let bundle = Bundle {
            operations,
            back,
            traced: Traced::current().map(Box::new),
        };
        let (bundle, error) = match self.queue.try_send(bundle) {
            Ok(()) => {
                return outcome
                    .await
                    .expect("a carrier answers every bundle it took, and never panics between");
            }
            Err(mpsc::error::TrySendError::Full(bundle)) => {
                let detail = format!("{QUEUE} requests wait for the owner already");
                (bundle, CallError::NotExecuted(detail))
            }
            Err(mpsc::error::TrySendError::Closed(bundle)) => {
                (bundle, CallError::Refused("the way to the owner was closed".to_owned()))
            }
        };
        let refuse = |stamped| (stamped, Carried::Not(error.clone()));
        bundle.operations.into_iter().map(refuse).collect()
    }
}

struct Carrier {
    owner: Owner,
    routing: Arc<Routing>,
    deadline: Duration,
    at_once: usize,
    ways: Arc<Ways>,
}

impl Carrier {
    async fn run(self, mut waiting: mpsc::Receiver<Bundle>) {
        let mut taken = Vec::with_capacity(FRAME_BUNDLES);
        let mut under_way = FuturesUnordered::new();
        let (mut open, mut slow) = (true, 0);
        while open || !under_way.is_empty() {
            // Frames that proved slow do not hold up the next one, the others do.
            if under_way.len() < slow + self.at_once && under_way.len() < MAX_UNDER_WAY && open {
                tokio::select! {
                   biased;
                    Some(()) = under_way.next() => {}
                    more = gather(&mut waiting, &mut taken, FRAME_BUNDLES) => open = more,
                }
            } else {
                tokio::select! {
                   biased;
                    Some(()) = under_way.next() => {}
                    () = tokio::time::sleep(PATIENCE), if under_way.len() < MAX_UNDER_WAY && open => slow = under_way.len(),
                }
            }
            slow = slow.min(under_way.len());
            while !taken.is_empty() {
                let rest = taken.split_off(fitting(&taken, Bundle::weight, FRAME_BYTES));
                under_way.push(self.deliver(std::mem::replace(&mut taken, rest)));
            }
        }
    }

    /// Sends one frame and answers its bundles.
    async fn deliver(&self, mut bundles: Vec<Bundle>) {
        let items: Vec<_> = bundles
            .iter()
            .flat_map(|bundle| &bundle.operations)
            .map(|stamped| stamped.operation.frame(stamped.version, stamped.unsure))
            .collect();
        self.ways.batch_size.observe(items.len() as f64);
        let count = items.len();
        let frame = postcard::to_stdvec(&BatchFrame { items }).unwrap_or_default();
        // A frame is in one trace, however many are in it: that of the first request that has one.
        let traced = bundles.iter_mut().find_map(|bundle| bundle.traced.take());
        let answered = match traced {
            None => self.call(frame.into()).await,
            Some(traced) => Box::pin(traced.scope(self.call(frame.into()))).await,
        };
        match answered {
            Ok(answer) => hand_back(bundles, count, &answer),
            Err(error) => {
                for bundle in bundles {
                    bundle.answer(|| Carried::Not(error.clone()));
                }
            }
        }
    }

    /// Calls the owner, for as long as it has a part in the ring.
    async fn call(&self, frame: Bytes) -> Result<Bytes, CallError> {
        let called = self
            .ways
            .peers
            .call(&self.owner, Kind::Batch, self.routing.epoch(), frame, self.deadline);
        tokio::select! {
           biased;
            answer = called => answer,
            () = self.departure() => Err(CallError::Unknown(format!("{} left the ring before it answered", self.owner.id))),
        }
    }

    /// Returns when this life of the owner has no part in the ring any more. One that left in order may still answer.
    async fn departure(&self) {
        let mut routing = Arc::clone(&self.routing);
        loop {
            self.ways.rings.changed(&routing).await;
            routing = self.ways.rings.routing();
            if !routing.serves(&self.owner.id, self.owner.boot_id) {
                if routing.index_of(&self.owner.id, self.owner.boot_id).is_none() {
                    tokio::time::sleep(GRACE).await;
                }
                return;
            }
        }
    }
}

fn hand_back(bundles: Vec<Bundle>, count: usize, answer: &Bytes) {
    let replies = postcard::from_bytes::<ReplyFrame<'_>>(answer).map(|frame| frame.replies);
    let mut replies = replies
        .ok()
        .filter(|replies| replies.len() == count)
        .unwrap_or_default()
        .into_iter();
    for bundle in bundles {
        bundle.answer(|| match replies.next() {
            Some(reply) => said(reply, answer),
            None => Carried::Not(CallError::Unknown("the owner's answer cannot be read".to_owned())),
        });
    }
}

fn said(reply: FrameReply<'_>, buffer: &Bytes) -> Carried {
    Carried::Said(Said::from_frame(reply, buffer))
}
