//! The engine's answers to the calls of [`ControlStore`], alike on every master.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use tokio::time::Instant;

use super::lead::{ForLeader, Miss};
use super::network::message::{Call, Reply, StoreOp, StoreReply};
use super::runtime::now;
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
        let command = Command::Txn {
            txn,
            user_quota: self.options.kv_quota_bytes,
        };
        match self.propose(command).await? {
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
        let until = Instant::now() + self.options.request_timeout;
        self.by_leader(&KeepAlive(lease), until).await
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
        let follower = Follower::new(self, prefix, from);
        Ok(Box::pin(follower.into_stream()))
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        self.fresh(consistency).await?;
        Ok(self.applied.look(|state| state.get(key)))
    }

    fn masters(&self) -> Vec<String> {
        let members = self.view().members.into_iter();
        let addresses: Vec<_> = members.map(|member| member.address).collect();
        // One that listens nowhere (a cluster of one without a network) is no way to the store.
        if addresses.iter().any(String::is_empty) {
            Vec::new()
        } else {
            addresses
        }
    }
}

struct Propose(Arc<Command>);

impl ForLeader for Propose {
    type Answer = Outcome;
    const REPEATABLE: bool = false;

    async fn here(&self, store: &RaftStore, until: Instant) -> std::result::Result<Outcome, Miss> {
        store.propose_here(&self.0, until).await
    }

    fn call(&self, left: Duration) -> Call {
        Call::Store {
            left_ms: millis(left),
            op: StoreOp::Propose(Arc::clone(&self.0)),
        }
    }

    fn take(reply: Reply) -> Option<Result<Outcome>> {
        match reply {
            Reply::Store(Ok(StoreReply::Done(outcome))) => Some(Ok(outcome)),
            Reply::Store(Err(error)) => Some(Err(error)),
            _ => None,
        }
    }
}

struct KeepAlive(LeaseId);

impl ForLeader for KeepAlive {
    type Answer = Duration;
    const REPEATABLE: bool = true;

    async fn here(&self, store: &RaftStore, _until: Instant) -> std::result::Result<Duration, Miss> {
        store.keep_here(self.0).await
    }

    fn call(&self, left: Duration) -> Call {
        Call::Store {
            left_ms: millis(left),
            op: StoreOp::KeepAlive(self.0),
        }
    }

    fn take(reply: Reply) -> Option<Result<Duration>> {
        match reply {
            Reply::Store(Ok(StoreReply::Kept(ttl))) => Some(Ok(ttl)),
            Reply::Store(Err(error)) => Some(Err(error)),
            _ => None,
        }
    }
}

impl RaftStore {
    /// Puts a command through the log, wherever the leader is; returns when it is durable and applied.
    pub(super) async fn propose(&self, command: Command) -> Result<Outcome> {
        let until = Instant::now() + self.options.request_timeout;
        self.by_leader(&Propose(Arc::new(command)), until).await
    }

    /// Puts a command through the log of this node, which leads.
    pub(super) async fn propose_here(&self, command: &Arc<Command>, until: Instant) -> std::result::Result<Outcome, Miss> {
        if let Some(error) = self.no_space() {
            return Err(Miss::Final(error));
        }
        let begun = Instant::now();
        let bytes = (command.bytes() + COMMAND_OVERHEAD).min(self.options.max_pending_bytes);
        let permits = u32::try_from(bytes / PENDING_UNIT).unwrap_or(u32::MAX);
        let waiting = tokio::time::timeout_at(until, self.pending.acquire_many(permits)).await;
        let overload = |_| Miss::Final(Error::Unavailable("too many writes are under way".to_owned()));
        let _permit = waiting.map_err(overload)?.map_err(|_| Miss::Final(self.reason()))?;
        let written = tokio::time::timeout_at(until, self.raft.client_write(Arc::clone(command))).await;
        let unknown = |_| Miss::Final(Error::Timeout("the write may or may not happen".to_owned()));
        let response = written.map_err(unknown)?.map_err(|error| self.write_error(error))?;
        self.metrics.committed(begun.elapsed());
        response.data.map_err(Miss::Final)
    }

    /// Gives a lease its full ttl again. Not through the log: what counts is that this node leads after the call came in,
    /// so that nobody else can be ending the lease meanwhile.
    pub(super) async fn keep_here(&self, lease: LeaseId) -> std::result::Result<Duration, Miss> {
        let point = self.confirm_leadership().await?;
        let until = Instant::now() + self.options.request_timeout;
        self.apply_upto(point.index, until).await.map_err(Miss::Final)?;
        let term = point.term.ok_or(Miss::NotLeader)?;
        let ttl = self.applied.look(|state| state.lease_ttl(lease));
        let ttl = ttl.ok_or(Miss::Final(Error::LeaseNotFound))?;
        let renewed = self.deadlines.lock().renew(term, lease, ttl, now());
        renewed.map_err(|error| match error {
            Error::Unavailable(_) => Miss::NotLeader,
            other => Miss::Final(other),
        })?;
        Ok(ttl)
    }

    async fn fresh(&self, consistency: Consistency) -> Result<()> {
        match consistency {
            Consistency::Linearizable => self.linearize().await,
            Consistency::Stale => Ok(()),
        }
    }

    fn write_error(&self, error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Miss {
        match error {
            // What was under way when the protocol stopped may have reached others.
            RaftError::Fatal(fatal) => Miss::Final(match self.fatal(&fatal) {
                Error::Unavailable(text) => Error::Timeout(text),
                other => other,
            }),
            // It leads, but has heard from no majority of late.
            RaftError::APIError(ClientWriteError::ForwardToLeader(to)) if to.leader_id.is_none() && self.is_raft_leader() => {
                Miss::Later(self.why(None))
            }
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Miss::NotLeader,
            RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => Miss::Final(Error::Timeout(
                "the raft leader changed; the write may or may not happen".to_owned(),
            )),
            RaftError::APIError(other) => Miss::Final(Error::Invalid(other.to_string())),
        }
    }

    /// The protocol has stopped.
    pub(super) fn fatal(&self, fatal: &Fatal<TypeConfig>) -> Error {
        match (self.log.failure(), fatal) {
            (Some(_), _) | (None, Fatal::Stopped) => self.reason(),
            (None, fatal) => Error::Damaged(fatal.to_string()),
        }
    }

    /// What is said to writes while the disk is full.
    pub(crate) fn full(&self) -> Error {
        Error::Unavailable(format!(
            "the disk of RAFT_DIR is full: free space on {} ({}); the store is read-only until then",
            self.local.identity.name(),
            self.options.dir.display()
        ))
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn unexpected(outcome: &Outcome) -> Error {
    Error::Damaged(format!("the state machine answered {outcome:?}"))
}
