//! The way from a primary to another owner, under one ring.
//!
//! Natural batching as on the way from the masters. What was handed over is delivered, however often that takes, or the
//! ring is over: then the sender hears that, and the next ring's range sync compares the two nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::cache::{ReplicaAnswer, ReplicaFrame, ReplicaItem, ReplicaState};
use api::{BootId, Epoch};
use bytes::Bytes;
use cluster::Owner;
use prometheus::{Histogram, IntCounterVec};
use store::cache::{Change, Record};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use transport::Traced;

use crate::batching::{fitting, gather};
use crate::{CallError, Kind, Peers, Rings};

/// Bundles that may wait for one replica; a primary refuses writes while there are more.
const QUEUE: usize = 8192;
/// Bundles in one frame.
const FRAME_BUNDLES: usize = 512;
/// A frame is closed once its values have so many bytes.
const FRAME_BYTES: usize = 1 << 20;
/// Time for one frame to be answered.
const DEADLINE: Duration = Duration::from_secs(1);
/// Pauses before a frame is sent again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// Something a replica must be told.
#[derive(Debug, Clone)]
pub(super) enum Delivery {
    Written(Record),
    Evicted(Change),
}

impl Delivery {
    fn item(&self) -> ReplicaItem<'_> {
        match self {
            Self::Written(record) => record.to_item(),
            Self::Evicted(change) => ReplicaItem {
                namespace: change.namespace(),
                key: change.key(),
                version: change.version,
                state: ReplicaState::Evicted,
            },
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Written(record) => record.wire_len(),
            Self::Evicted(_) => 0,
        }
    }
}

/// What a replica said of a bundle: places of those that are older than what it holds, with the version it holds.
pub(super) type Newer = Vec<(usize, u64)>;

#[derive(Debug)]
struct Bundle {
    items: Vec<Delivery>,
    /// Nobody waits for evictions.
    back: Option<oneshot::Sender<Newer>>,
    /// The request they are for, when its trace is recorded.
    traced: Option<Box<Traced>>,
}

impl Bundle {
    fn weight(&self) -> usize {
        self.items.iter().map(Delivery::weight).sum()
    }
}

/// The way to one replica.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: mpsc::Sender<Bundle>,
}

/// What all lanes of a node share.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) me: BootId,
    /// Numbers frames, those to all replicas together.
    pub(super) frames_made: AtomicU64,
    pub(super) peers: Arc<dyn Peers>,
    pub(super) rings: Arc<dyn Rings>,
    pub(super) frames: IntCounterVec,
    pub(super) delay: Histogram,
}

impl Lane {
    pub(super) fn open(to: Owner, epoch: Epoch, over: CancellationToken, ways: Arc<Ways>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let carrier = Carrier { to, epoch, ways };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                () = carrier.run(waiting) => {}
            }
        });
        Self { queue }
    }

    /// Whether it takes no more for the moment.
    pub(super) fn is_full(&self) -> bool {
        self.queue.capacity() == 0
    }

    /// Hands over what must arrive; the answer comes through the receiver, which fails when the ring is over before it.
    pub(super) fn send(&self, items: Vec<Delivery>) -> oneshot::Receiver<Newer> {
        let (back, answer) = oneshot::channel();
        // A queue that filled up just now drops the sender, which the waiting side takes for the end of the ring: it looks
        // at the ring, and tries again.
        drop(self.queue.try_send(Bundle {
            items,
            back: Some(back),
            traced: Traced::current().map(Box::new),
        }));
        answer
    }

    /// Hands over what need not arrive: range sync would find it.
    pub(super) fn mention(&self, items: Vec<Delivery>) {
        drop(self.queue.try_send(Bundle {
            items,
            back: None,
            traced: None,
        }));
    }
}

struct Carrier {
    to: Owner,
    epoch: Epoch,
    ways: Arc<Ways>,
}

impl Carrier {
    async fn run(self, mut waiting: mpsc::Receiver<Bundle>) {
        let mut taken = Vec::with_capacity(FRAME_BUNDLES);
        while gather(&mut waiting, &mut taken, FRAME_BUNDLES).await {
            while !taken.is_empty() {
                let rest = taken.split_off(fitting(&taken, Bundle::weight, FRAME_BYTES));
                self.deliver(std::mem::replace(&mut taken, rest)).await;
            }
        }
    }

    /// Sends a frame until it is answered.
    async fn deliver(&self, bundles: Vec<Bundle>) {
        let items = bundles.iter().flat_map(|bundle| &bundle.items).map(Delivery::item).collect();
        let number = 1 + self.ways.frames_made.fetch_add(1, Ordering::Relaxed);
        let order = Some((self.ways.me, number));
        let frame = Bytes::from(postcard::to_stdvec(&ReplicaFrame { order, items }).unwrap_or_default());
        let began = tokio::time::Instant::now();
        let mut pause = FIRST_PAUSE;
        // A frame is in one trace, as on the way from the masters.
        let traced = bundles.iter().find_map(|bundle| bundle.traced.as_deref());
        let answer = loop {
            let call = self.call(frame.clone());
            let answered = match traced {
                None => call.await,
                Some(traced) => Box::pin(traced.clone().scope(call)).await,
            };
            let error = match answered {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            self.ways.frames.with_label_values(&["failed"]).inc();
            if let CallError::Refused(_) = error {
                // The other node may know a newer ring; ours ends when we do, and this lane with it.
                self.ways.rings.catch_up(Epoch(self.epoch.0 + 1)).await;
            }
            tracing::debug!(to = %self.to.id, %error, "a replica did not take a frame");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        };
        self.ways.frames.with_label_values(&["delivered"]).inc();
        self.ways.delay.observe(began.elapsed().as_secs_f64());
        hand_back(bundles, &answer);
    }

    async fn call(&self, frame: Bytes) -> Result<ReplicaAnswer, CallError> {
        let answer = self
            .ways
            .peers
            .call(&self.to, Kind::Replica, self.epoch, frame, DEADLINE)
            .await?;
        postcard::from_bytes(&answer).map_err(|error| CallError::Unknown(error.to_string()))
    }
}

fn hand_back(bundles: Vec<Bundle>, answer: &ReplicaAnswer) {
    let mut first = 0;
    for bundle in bundles {
        let places = first..first + bundle.items.len();
        first = places.end;
        if let Some(back) = bundle.back {
            let mine = answer.newer.iter().map(|(place, version)| (*place as usize, *version));
            let newer = mine
                .filter(|(place, _)| places.contains(place))
                .map(|(place, version)| (place - places.start, version));
            drop(back.send(newer.collect()));
        }
    }
}
