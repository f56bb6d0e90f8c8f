//! The engine's answers to other masters.

use std::time::Duration;

use openraft::errors::{Fatal, RaftError};
use tokio::time::Instant;

use crate::error::Error;
use crate::raft::RaftStore;
use crate::raft::lead::Miss;
use crate::raft::network::message::{Append, Appended, Call, Refusal, Reply, StoreOp, StoreReply, Transfer, Voted};
use crate::raft::types::TypeConfig;

/// Share of the time a caller has left that is used here: the rest is for the way back, so that it is the leader that says
/// what became of a call.
const SHARE: f64 = 0.9;

type Outcome = Result<Reply, Refusal>;

impl RaftStore {
    /// Answers a message that was let in.
    pub(super) async fn reply(&self, call: Call) -> Outcome {
        match call {
            Call::Append(append) => self.append(append).await,
            Call::Vote(ballot) => voted(self.raft.vote(ballot.into()).await.map(|response| Voted::from(&response))),
            Call::PreVote(ballot) => voted(self.raft.pre_vote(ballot.into()).await.map(|response| Voted::from(&response))),
            Call::Transfer(transfer) => self.transferred(transfer).await,
            Call::ReadIndex => match self.confirm_leadership().await {
                Ok(point) => Ok(Reply::ReadIndex(point.index)),
                Err(miss) => Err(refused(miss)),
            },
            Call::Store { left_ms, op } => {
                let done = self.execute_here(&op, until(left_ms)).await;
                settle(done).map(Reply::Store)
            }
            Call::Members { left_ms, op } => {
                let done = self.change_here(&op, until(left_ms)).await;
                settle(done).map(Reply::Members)
            }
            Call::Hello(_) | Call::Snapshot(_) => Err(Refusal::NotReady("this call has another way in".to_owned())),
        }
    }

    async fn append(&self, append: Append) -> Outcome {
        let heartbeat = append.entries.is_empty();
        let request = append.try_into().map_err(Refusal::NotReady)?;
        let appended = tokio::select! {
            biased;
            appended = self.raft.append_entries(request) => appended,
            () = self.log.fills_up(), if !heartbeat => return Err(Refusal::NotReady(self.full().to_string())),
        };
        match appended {
            Ok(response) => Ok(Reply::Append(Appended::from(&response))),
            Err(error) => Err(stopped(&error)),
        }
    }

    async fn transferred(&self, transfer: Transfer) -> Outcome {
        match self.raft.handle_transfer_leader(transfer.into()).await {
            Ok(outcome) => Ok(Reply::Transfer(outcome.is_ok())),
            Err(fatal) => Err(gone(&fatal)),
        }
    }

    /// What only the leader can do.
    pub(crate) async fn execute_here(&self, op: &StoreOp, until: Instant) -> Result<StoreReply, Miss> {
        match op {
            StoreOp::Propose(command) => Ok(StoreReply::Done(self.propose_here(command, until).await?)),
            StoreOp::KeepAlive(lease) => Ok(StoreReply::Kept(self.keep_here(*lease).await?)),
        }
    }
}

fn until(left_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(left_ms).mul_f64(SHARE)
}

/// What is certainly not done goes back as a refusal, so that the caller may look for another leader.
fn settle<T>(done: Result<T, Miss>) -> Result<Result<T, Error>, Refusal> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Miss::Final(error)) => Ok(Err(error)),
        Err(miss) => Err(refused(miss)),
    }
}

fn refused(miss: Miss) -> Refusal {
    match miss {
        Miss::NotLeader => Refusal::NotLeader,
        Miss::Later(text) => Refusal::NotReady(text),
        Miss::Final(error) => Refusal::NotReady(error.to_string()),
    }
}

fn voted(response: Result<Voted, RaftError<TypeConfig>>) -> Outcome {
    match response {
        Ok(voted) => Ok(Reply::Vote(voted)),
        Err(error) => Err(stopped(&error)),
    }
}

fn stopped(error: &RaftError<TypeConfig>) -> Refusal {
    Refusal::NotReady(format!("its raft engine has stopped: {error}"))
}

fn gone(fatal: &Fatal<TypeConfig>) -> Refusal {
    Refusal::NotReady(format!("its raft engine has stopped: {fatal}"))
}
