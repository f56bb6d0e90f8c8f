//! Carrying out the operations of a frame: the hot path.
//!
//! Keys and values are borrowed from the received buffer; the only copy is the one that is stored. Values that are read are
//! shared with the cache until the reply is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::cache::{BatchFrame, Condition, FrameItem, FrameOp, FrameReply, MAX_FRAME_BYTES, ReplyFrame};
use api::{BootId, Epoch, ErrorCode};
use cluster::View;
use store::cache::{self, Cache, Hit, Key, Put, Refusal};

use super::clock::now_ms;
use super::gate::Gate;
use crate::metrics::{CacheMetrics, Ended, Operation};

/// Longest wait for an epoch the caller knows and this node does not know yet.
const CATCH_UP: Duration = Duration::from_secs(1);
/// Room for what a reply has besides a value.
const REPLY_OVERHEAD: usize = 40;

/// Whom the caller meant to reach, and by which ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addressee {
    pub(crate) boot_id: BootId,
    pub(crate) epoch: Epoch,
}

/// Why a whole batch was not carried out; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("this is another life of the node ({ours}); look up the members and send it again")]
    OtherLife { ours: BootId },
    #[error("the ring is at epoch {ours} here, the batch was routed by epoch {theirs}; look up the ring and send it again")]
    OtherEpoch { ours: Epoch, theirs: Epoch },
    #[error("the frame cannot be read")]
    Malformed(#[source] postcard::Error),
    #[error("the reply cannot be written")]
    Unwritable(#[source] postcard::Error),
}

/// Carries out frames.
#[derive(Debug)]
pub(crate) struct Batches {
    pub(crate) cache: Arc<Cache>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) view: Arc<View>,
    pub(crate) boot_id: BootId,
    pub(crate) metrics: CacheMetrics,
}

/// What became of one operation, before it is written down.
enum Outcome {
    Hit(Hit),
    Plain(FrameReply<'static>),
    Failed(ErrorCode, String),
}

impl Batches {
    /// Carries out a frame (postcard) and returns the reply frame.
    pub(crate) async fn execute(&self, to: Addressee, frame: &[u8]) -> Result<Vec<u8>, BatchError> {
        if to.boot_id != self.boot_id {
            self.metrics.refused.with_label_values(&["boot_id"]).inc();
            return Err(BatchError::OtherLife { ours: self.boot_id });
        }
        let attempt = || self.gate.pass(to.epoch, || self.carry_out(frame));
        let outcome = match attempt() {
            Err(ours) if ours < to.epoch => {
                self.catch_up(to.epoch).await;
                attempt()
            }
            outcome => outcome,
        };
        outcome.unwrap_or_else(|ours| {
            self.metrics.refused.with_label_values(&["epoch"]).inc();
            Err(BatchError::OtherEpoch { ours, theirs: to.epoch })
        })
    }

    /// The caller was told of a change of the ring sooner than this node.
    async fn catch_up(&self, epoch: Epoch) {
        match tokio::time::timeout(CATCH_UP, self.view.catch_up(epoch)).await {
            Ok(Ok(_)) => self.gate.wait_for(epoch, CATCH_UP).await,
            Ok(Err(error)) => tracing::warn!(%epoch, %error, "cannot look up a newer ring"),
            Err(_) => tracing::warn!(%epoch, "cannot look up a newer ring in time"),
        }
    }

    fn carry_out(&self, frame: &[u8]) -> Result<Vec<u8>, BatchError> {
        let BatchFrame { items } = postcard::from_bytes(frame).map_err(BatchError::Malformed)?;
        let now_ms = now_ms();
        let mut bytes = 0;
        let mut outcomes = Vec::with_capacity(items.len());
        let mut began = Instant::now();
        for item in &items {
            let (operation, outcome) = self.one(item, bytes, now_ms);
            bytes += outcome.weight();
            let ended = Instant::now();
            self.metrics
                .record(operation, outcome.ended(), ended.duration_since(began).as_secs_f64());
            began = ended;
            outcomes.push(outcome);
        }
        let replies = outcomes.iter().map(Outcome::reply).collect();
        postcard::to_extend(&ReplyFrame { replies }, Vec::with_capacity(bytes + 16)).map_err(BatchError::Unwritable)
    }

    /// Carries out one operation of a frame whose reply has so many bytes already.
    fn one(&self, item: &FrameItem<'_>, replied: usize, now_ms: u64) -> (Operation, Outcome) {
        let key = Key {
            namespace: item.namespace,
            key: item.key,
        };
        match item.op {
            FrameOp::Get => (Operation::Get, self.get(key, replied, now_ms)),
            FrameOp::Put {
                value,
                content_type,
                expires_at_ms,
                version,
                condition,
            } => {
                let put = Put {
                    value,
                    content_type,
                    expires_at_ms,
                    version,
                    condition: translate(condition),
                };
                let stored = self.cache.put(key, put, now_ms);
                let reply = stored.map(|stored| FrameReply::Stored {
                    version: stored.version,
                    created: stored.created,
                });
                (Operation::Put, reply.into())
            }
            FrameOp::Delete { version, condition } => {
                let deleted = self.cache.delete(key, version, translate(condition), now_ms);
                (
                    Operation::Delete,
                    deleted
                        .map(|deleted| FrameReply::Deleted {
                            existed: deleted.existed,
                        })
                        .into(),
                )
            }
            FrameOp::Incr { by, version } => {
                let counter = self.cache.incr(key, by, version, now_ms);
                let reply = counter.map(|counter| FrameReply::Counter {
                    value: counter.value,
                    version: counter.version,
                });
                (Operation::Incr, reply.into())
            }
        }
    }

    fn get(&self, key: Key<'_>, replied: usize, now_ms: u64) -> Outcome {
        match self.cache.get(key, now_ms) {
            // The first value always goes along, so that asking again gets on.
            Some(hit) if replied > 0 && replied + hit.value().len() > MAX_FRAME_BYTES => {
                Outcome::Failed(ErrorCode::Conflict, "the reply is full; ask for this key again".to_owned())
            }
            Some(hit) => Outcome::Hit(hit),
            None => Outcome::Plain(FrameReply::Miss),
        }
    }
}

impl Outcome {
    fn reply(&self) -> FrameReply<'_> {
        match self {
            Self::Hit(hit) => FrameReply::Hit {
                value: hit.value(),
                content_type: hit.content_type(),
                version: hit.version(),
                expires_at_ms: hit.expires_at_ms(),
            },
            Self::Plain(reply) => reply.clone(),
            Self::Failed(code, detail) => FrameReply::Failed { code: *code, detail },
        }
    }

    fn weight(&self) -> usize {
        REPLY_OVERHEAD
            + match self {
                Self::Hit(hit) => hit.value().len() + hit.content_type().len(),
                Self::Plain(_) => 0,
                Self::Failed(_, detail) => detail.len(),
            }
    }

    const fn ended(&self) -> Ended {
        match self {
            Self::Hit(_) => Ended::Hit,
            Self::Plain(FrameReply::Miss | FrameReply::Deleted { existed: false }) => Ended::Miss,
            Self::Plain(FrameReply::PreconditionFailed { .. }) => Ended::Conflict,
            Self::Plain(FrameReply::Stale { .. }) => Ended::Stale,
            Self::Plain(_) => Ended::Ok,
            Self::Failed(..) => Ended::Error,
        }
    }
}

impl From<Result<FrameReply<'static>, Refusal>> for Outcome {
    fn from(result: Result<FrameReply<'static>, Refusal>) -> Self {
        let refusal = match result {
            Ok(reply) => return Self::Plain(reply),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::PreconditionFailed { held } => Self::Plain(FrameReply::PreconditionFailed {
                version: held.unwrap_or(0),
            }),
            Refusal::Stale { held } => Self::Plain(FrameReply::Stale { version: held }),
            Refusal::TooLarge { .. } => Self::Failed(ErrorCode::TooLarge, refusal.to_string()),
            Refusal::ContentTypeTooLong { .. } | Refusal::NotAnInteger | Refusal::Overflow => {
                Self::Failed(ErrorCode::InvalidArgument, refusal.to_string())
            }
        }
    }
}

const fn translate(condition: Condition) -> cache::Condition {
    match condition {
        Condition::None => cache::Condition::None,
        Condition::Absent => cache::Condition::Absent,
        Condition::Present => cache::Condition::Present,
        Condition::Version(version) => cache::Condition::Version(version),
    }
}
