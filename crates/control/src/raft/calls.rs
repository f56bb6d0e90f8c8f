//! The engine's answers to the calls of [`ControlStore`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, Fatal, ForwardToLeader, LinearizableReadError, RaftError};

use super::types::TypeConfig;
use super::watch::Follower;
use super::{PENDING_UNIT, RaftStore};
use crate::error::Error;
use crate::state::{self, Command, Outcome};
use crate::types::{Consistency, KeyValue, Lease, LeaseId, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{ControlStore, Result, Watch};

/// Charged to a pending write beside its bytes.
const COMMAND_OVERHEAD: usize = 16 * 1024;

/// Longest ttl of a lease: longer wishes are cut, so that deadlines stay within the clock's range.
const MAX_LEASE_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[async_trait]
impl ControlStore for RaftStore {
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse> {
        self.fresh(consistency).await?;
        Ok(self.applied.look(|state| state.range(&range)))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        state::validate(&txn)?;
        if state::is_read_only(&txn) {
            self.linearize().await?;
            return Ok(self.applied.look(|state| state.query(&txn)));
        }
        match self
            .propose(Command::Txn {
                txn,
                user_quota: self.options.kv_quota_bytes,
            })
            .await?
        {
            Outcome::Txn(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        let ttl = ttl.clamp(self.options.min_lease_ttl, MAX_LEASE_TTL);
        match self.propose(Command::Grant { ttl }).await? {
            Outcome::Granted(lease) => Ok(lease),
            other => Err(unexpected(&other)),
        }
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        // Not through the log: what counts is that this node leads after the call came in, so that nobody else can be
        // ending the lease meanwhile.
        let term = self.linearize().await?;
        let ttl = self
            .applied
            .look(|state| state.lease_ttl(lease))
            .ok_or(Error::LeaseNotFound)?;
        self.deadlines.lock().renew(term, lease, ttl, Instant::now())?;
        Ok(ttl)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        self.propose(Command::Revoke { lease }).await.map(|_| ())
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        let from = if from == 0 {
            self.linearize().await?;
            self.applied.look(state::State::revision) + 1
        } else {
            from
        };
        let follower = Follower::new(Arc::clone(&self.applied), self.stopping.clone(), prefix, from);
        Ok(Box::pin(follower.into_stream()))
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        self.fresh(consistency).await?;
        Ok(self.applied.look(|state| state.get(key)))
    }
}

impl RaftStore {
    /// Waits until everything acknowledged before the call is visible here, and returns the leader's term. Only the
    /// leader can; it makes sure that it still is (ReadIndex).
    pub(super) async fn linearize(&self) -> Result<u64> {
        let visible = async {
            let read = self
                .raft
                .get_read_log_id(ReadPolicy::ReadIndex)
                .await
                .map_err(|error| self.read_error(error))?;
            let log_id = *read.0.log_id();
            let applied = self
                .applied
                .progress()
                .wait_for(|count| *count > log_id.index)
                .await
                .map(|_| ());
            applied.map_err(|_| self.reason())?;
            Ok(log_id.leader_id.term)
        };
        tokio::time::timeout(self.options.request_timeout, visible)
            .await
            .map_err(|_| Error::Unavailable("the raft leader could not make sure that it still leads".to_owned()))?
    }

    /// Puts a command through the log; returns when it is durable and applied.
    pub(super) async fn propose(&self, command: Command) -> Result<Outcome> {
        let bytes = (command.bytes() + COMMAND_OVERHEAD).min(self.options.max_pending_bytes);
        let permits = u32::try_from(bytes / PENDING_UNIT).unwrap_or(u32::MAX);
        let deadline = tokio::time::Instant::now() + self.options.request_timeout;
        let waiting = tokio::time::timeout_at(deadline, self.pending.acquire_many(permits)).await;
        let overload = || Error::Unavailable("too many writes are under way".to_owned());
        let _permit = waiting.map_err(|_| overload())?.map_err(|_| self.reason())?;
        let written = tokio::time::timeout_at(deadline, self.raft.client_write(Arc::new(command))).await;
        let written = written.map_err(|_| Error::Timeout("the write may or may not happen".to_owned()))?;
        written.map_err(|error| self.write_error(error))?.data
    }

    async fn fresh(&self, consistency: Consistency) -> Result<()> {
        match consistency {
            Consistency::Linearizable => self.linearize().await.map(|_| ()),
            Consistency::Stale => Ok(()),
        }
    }

    fn write_error(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Error {
        match error {
            RaftError::Fatal(fatal) => self.fatal(&fatal),
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => not_leader(&forward),
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
                Error::Timeout("the raft leader changed; the write may or may not happen".to_owned())
            }
            RaftError::APIError(other) => Error::Invalid(other.to_string()),
        }
    }

    fn read_error(&self, error: RaftError<TypeConfig, LinearizableReadError<TypeConfig>>) -> Error {
        match error {
            RaftError::Fatal(fatal) => self.fatal(&fatal),
            RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => not_leader(&forward),
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(error)) => Error::Unavailable(error.to_string()),
        }
    }

    /// The protocol has stopped.
    pub(super) fn fatal(&self, fatal: &Fatal<TypeConfig>) -> Error {
        match (self.log.failure(), fatal) {
            (Some(_), _) | (None, Fatal::Stopped) => self.reason(),
            (None, fatal) => Error::Damaged(fatal.to_string()),
        }
    }
}

fn not_leader(forward: &ForwardToLeader<TypeConfig>) -> Error {
    Error::Unavailable(match &forward.leader_id {
        Some(leader) => format!("node {leader} is the raft leader"),
        None => "there is no raft leader".to_owned(),
    })
}

fn unexpected(outcome: &Outcome) -> Error {
    Error::Damaged(format!("the state machine answered {outcome:?}"))
}
