//! Linearizable reads: the leader is asked how far the log had come (ReadIndex: Ongaro, *Consensus: Bridging Theory and
//! Practice*, §6.4), and the read waits until that much is applied here.
//!
//! One question serves everybody who was waiting when it was asked, so that reads cost a message each only while they are
//! few. Whoever comes later waits for the next: an answer must be younger than the read it serves.

use std::sync::Weak;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{LinearizerOption, ReadPolicy};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::RaftStore;
use super::lead::{ForLeader, Miss};
use super::network::message::{Call, Reply};
use crate::Result;
use crate::error::Error;

/// Questions under way at once: one more than one, so that a read need not wait for two rounds.
const ROUNDS: usize = 2;
/// Share of the leader's lease for which it waits until a majority has answered. Less than all of it: a follower waits for so
/// long, and is to hear from the leader why there is no answer.
const CONFIRM_SHARE: f64 = 0.7;

/// What has to be applied before a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadPoint {
    /// Index of the last entry.
    pub(crate) index: u64,
    /// The term this node leads, if it is the one who answered.
    pub(crate) term: Option<u64>,
}

/// Somebody who waits.
type Reader = oneshot::Sender<Result<ReadPoint>>;

/// Where readers wait.
#[derive(Debug)]
pub(crate) struct Reads {
    readers: mpsc::UnboundedSender<Reader>,
}

impl Reads {
    /// A place to wait, and the readers for [`serve`].
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Reader>) {
        // Bounded by its callers: each waits for its own answer.
        let (readers, queue) = mpsc::unbounded_channel();
        (Self { readers }, queue)
    }
}

/// Asks for all who wait, as long as the engine runs.
pub(crate) async fn serve(store: Weak<RaftStore>, mut queue: mpsc::UnboundedReceiver<Reader>) {
    let mut rounds = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = rounds.next(), if !rounds.is_empty() => {}
            first = queue.recv(), if rounds.len() < ROUNDS => {
                let Some(first) = first else { return };
                let mut readers = vec![first];
                while let Ok(reader) = queue.try_recv() {
                    readers.push(reader);
                }
                let Some(store) = store.upgrade() else { return };
                rounds.push(async move {
                    store.metrics.read_round(readers.len());
                    let until = Instant::now() + store.options.request_timeout;
                    let point = store.by_leader(&ReadIndex, until).await;
                    for reader in readers {
                        // It may have given up.
                        let _ = reader.send(point.clone());
                    }
                });
            }
        }
    }
}

struct ReadIndex;

impl ForLeader for ReadIndex {
    type Answer = ReadPoint;
    const REPEATABLE: bool = true;

    async fn here(&self, store: &RaftStore, until: Instant) -> std::result::Result<ReadPoint, Miss> {
        let confirmed = tokio::time::timeout_at(until, store.confirm_leadership()).await;
        confirmed.unwrap_or_else(|_| Err(Miss::Later(store.why(None))))
    }

    fn call(&self, _left: Duration) -> Call {
        Call::ReadIndex
    }

    fn take(reply: Reply) -> Option<Result<ReadPoint>> {
        match reply {
            Reply::ReadIndex(index) => Some(Ok(ReadPoint { index, term: None })),
            _ => None,
        }
    }
}

impl RaftStore {
    /// Waits until everything acknowledged before the call is visible here.
    pub(super) async fn linearize(&self) -> Result<()> {
        let until = Instant::now() + self.options.request_timeout;
        let point = self.read_point().await?;
        self.apply_upto(point.index, until).await
    }

    /// Whether there is a leader who leads: the same question, asked for nobody else, and answered by the reason otherwise.
    pub(crate) async fn confirm(&self, until: Instant) -> Result<ReadPoint> {
        self.by_leader(&ReadIndex, until).await
    }

    /// How far a read that begins now must see.
    pub(crate) async fn read_point(&self) -> Result<ReadPoint> {
        let (reader, answer) = oneshot::channel();
        self.reads.readers.send(reader).map_err(|_| self.reason())?;
        let waiting = tokio::time::timeout(self.options.request_timeout + Duration::from_secs(1), answer).await;
        let late = |_| Error::Unavailable(self.why(Some("too many reads are under way".to_owned())));
        waiting.map_err(late)?.map_err(|_| self.reason())?
    }

    /// Waits until an entry is applied here.
    pub(super) async fn apply_upto(&self, index: u64, until: Instant) -> Result<()> {
        let mut progress = self.applied.progress();
        if *progress.borrow_watched() > index {
            return Ok(());
        }
        let applied = tokio::select! {
            biased;
            applied = tokio::time::timeout_at(until, progress.wait_until(|count| *count > index)) => applied,
            () = self.stopping.cancelled() => return Err(self.reason()),
        };
        match applied {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(self.reason()),
            Err(_) => Err(Error::Unavailable(
                "this master is behind, and did not catch up in time".to_owned(),
            )),
        }
    }

    /// Makes sure that this node leads, after the call came in.
    pub(crate) async fn confirm_leadership(&self) -> std::result::Result<ReadPoint, Miss> {
        let within = self.options.lease().mul_f64(CONFIRM_SHARE);
        let policy = LinearizerOption::from(ReadPolicy::ReadIndex).with_wait_timeout(within);
        match self.raft.get_read_log_id(policy).await {
            Ok((read, _)) => {
                let log_id = *read.log_id();
                Ok(ReadPoint {
                    index: log_id.index,
                    term: Some(log_id.leader_id.term),
                })
            }
            Err(RaftError::Fatal(fatal)) => Err(Miss::Final(self.fatal(&fatal))),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => Err(Miss::NotLeader),
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(Miss::Later(self.why(None))),
        }
    }
}
