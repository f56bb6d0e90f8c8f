//! Natural batching: what waits while a request to an auxiliary is under way travels together in the next one.
//!
//! A [`Lane`] leads to one life of one auxiliary. Its carrier takes everything that waits, sends it as one frame and hands
//! the replies back. An idle lane adds no delay; a busy one makes larger frames, so that the cost of a request is shared.
//! One frame at a time: a second under way would only make both smaller.

use std::sync::Arc;
use std::time::Duration;

use api::cache::{BatchFrame, FRAME_CONTENT_TYPE, ReplyFrame};
use api::{ErrorCode, headers};
use bytes::Bytes;
use telemetry::{Metrics, Registry};
use tokio::sync::{mpsc, oneshot};
use transport::peer::{PeerClient, PeerError, Retry};

use super::front::Owner;
use super::operation::{Operation, Said};

/// Operations that may wait for one auxiliary; more are refused.
const QUEUE: usize = 8192;
/// Operations in one frame.
const FRAME_OPERATIONS: usize = 512;
/// A frame is closed once its values have so many bytes; a larger value travels alone.
const FRAME_BYTES: usize = 1 << 20;
/// Time for one frame to be answered.
const FRAME_DEADLINE: Duration = Duration::from_secs(2);

/// Figures of all lanes.
#[derive(Debug, Clone)]
pub(super) struct LaneMetrics {
    batch_size: prometheus::Histogram,
}

impl LaneMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let buckets = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        let help = "Operations that travelled together to an auxiliary.";
        Self {
            batch_size: Metrics::new(registry).histogram("cache_batch_operations", help, &buckets),
        }
    }
}

/// How an operation came back from the lane.
#[derive(Debug)]
pub(super) enum Carried {
    /// The auxiliary said something about it.
    Said(Said),
    /// Our ring or its life is not the one we thought; not executed.
    Refused(String),
    /// Not executed.
    NotExecuted(String),
    /// Perhaps executed.
    Unknown(String),
}

/// An operation on its way; it comes back with the outcome, so that it can be sent elsewhere.
#[derive(Debug)]
struct Passenger {
    operation: Operation,
    version: u64,
    back: oneshot::Sender<(Operation, Carried)>,
}

/// The way to one life of one auxiliary.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    queue: mpsc::Sender<Passenger>,
}

impl Lane {
    /// Opens the way; it closes when the last clone is dropped.
    pub(super) fn open(owner: Arc<Owner>, peers: PeerClient, metrics: LaneMetrics) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let carrier = Carrier { owner, peers, metrics };
        tokio::spawn(carrier.run(waiting));
        Self { queue }
    }

    /// Sends an operation and waits for its outcome.
    pub(super) async fn carry(&self, operation: Operation, version: u64) -> (Operation, Carried) {
        let (back, outcome) = oneshot::channel();
        let passenger = Passenger {
            operation,
            version,
            back,
        };
        match self.queue.try_send(passenger) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(passenger)) => {
                return (
                    passenger.operation,
                    Carried::NotExecuted(format!("{QUEUE} operations wait for the owner already")),
                );
            }
            Err(mpsc::error::TrySendError::Closed(passenger)) => {
                return (
                    passenger.operation,
                    Carried::Refused("the way to the owner was closed".to_owned()),
                );
            }
        }
        outcome
            .await
            .expect("a carrier answers every passenger it took, and never panics between")
    }
}

struct Carrier {
    owner: Arc<Owner>,
    peers: PeerClient,
    metrics: LaneMetrics,
}

impl Carrier {
    async fn run(self, mut waiting: mpsc::Receiver<Passenger>) {
        let mut taken = Vec::with_capacity(FRAME_OPERATIONS);
        loop {
            if waiting.recv_many(&mut taken, FRAME_OPERATIONS).await == 0 {
                return;
            }
            while !taken.is_empty() {
                let rest = taken.split_off(frame_length(&taken));
                self.deliver(std::mem::replace(&mut taken, rest)).await;
            }
        }
    }

    /// Sends one frame and answers its passengers.
    async fn deliver(&self, passengers: Vec<Passenger>) {
        self.metrics.batch_size.observe(passengers.len() as f64);
        let items = passengers
            .iter()
            .map(|passenger| passenger.operation.frame(passenger.version))
            .collect();
        let frame = postcard::to_stdvec(&BatchFrame { items }).unwrap_or_default();
        match self.call(frame.into()).await {
            Ok(answer) => hand_back(passengers, &answer),
            Err(error) => {
                let detail = error.to_string();
                for passenger in passengers {
                    let carried = match error.code() {
                        ErrorCode::Conflict => Carried::Refused(detail.clone()),
                        ErrorCode::Unavailable | ErrorCode::RateLimited => Carried::NotExecuted(detail.clone()),
                        _ => Carried::Unknown(detail.clone()),
                    };
                    drop(passenger.back.send((passenger.operation, carried)));
                }
            }
        }
    }

    async fn call(&self, frame: Bytes) -> Result<Bytes, PeerError> {
        let response = self
            .peers
            .post(&self.owner.address, "/internal/v1/cache/batch")
            .header(headers::RING_EPOCH, self.owner.epoch_header.clone())
            .header(headers::BOOT_ID, self.owner.boot_header.clone())
            .body(FRAME_CONTENT_TYPE, frame)
            .deadline(FRAME_DEADLINE)
            .retry(Retry::Never)
            .send()
            .await?;
        tokio::time::timeout(FRAME_DEADLINE, response.bytes())
            .await
            .unwrap_or_else(|_| {
                Err(PeerError::NoAnswer {
                    peer: self.owner.address.clone(),
                    detail: "its answer stopped half-way".to_owned(),
                })
            })
    }
}

/// How many of the waiting operations fit into one frame; at least one.
fn frame_length(waiting: &[Passenger]) -> usize {
    let mut bytes = 0;
    let over = waiting.iter().position(|passenger| {
        bytes += passenger.operation.action.weight();
        bytes > FRAME_BYTES
    });
    over.map_or(waiting.len(), |index| index.max(1))
}

fn hand_back(passengers: Vec<Passenger>, answer: &Bytes) {
    let replies = postcard::from_bytes::<ReplyFrame<'_>>(answer)
        .map(|frame| frame.replies)
        .unwrap_or_default();
    let whole = replies.len() == passengers.len();
    let mut replies = replies.into_iter();
    for passenger in passengers {
        let carried = match replies.next() {
            Some(reply) if whole => Carried::Said(Said::from_frame(reply, answer)),
            _ => Carried::Unknown("the owner's answer cannot be read".to_owned()),
        };
        drop(passenger.back.send((passenger.operation, carried)));
    }
}
