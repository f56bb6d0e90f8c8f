//! The way to one peer, as openraft uses it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;

use super::message::{Append, Ballot, Call, Reply, SnapshotOffer, Transfer};
use super::{CallError, Client, chunks};
use crate::raft::blocking::blocking;
use crate::raft::disk::Disk;
use crate::raft::format::StoredVote;
use crate::raft::metrics::RaftMetrics;
use crate::raft::snapshot::{SnapshotFile, SnapshotHead};
use crate::raft::types::{Peer, TypeConfig, Vote};

/// Longest time for a snapshot to be sent and taken in.
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(90);

/// Makes the ways.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    pub(crate) client: Arc<Client>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) metrics: RaftMetrics,
    /// Deadline of a message with entries: a slow disk must have the time to take them.
    pub(crate) append_deadline: Duration,
}

/// The way to one peer.
#[derive(Debug)]
pub(crate) struct Link {
    to: u64,
    peer: Peer,
    links: Links,
}

type Rpc<T> = Result<T, RPCError<TypeConfig>>;

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: u64, peer: &Peer) -> Link {
        Link {
            to: target,
            peer: peer.clone(),
            links: self.clone(),
        }
    }
}

impl Link {
    async fn call(&self, call: Call, deadline: Duration) -> Rpc<Reply> {
        let called = self.links.client.call(self.to, &self.peer, call, deadline).await;
        called.map_err(|error| self.rpc_error(&error))
    }

    fn rpc_error(&self, error: &CallError) -> RPCError<TypeConfig> {
        match error {
            // It is there; trying again at once makes sense.
            CallError::Unknown(text) => NetworkError::from_string(text).into(),
            CallError::NotSent(text) => Unreachable::from_string(text).into(),
            CallError::Refused(refusal) => {
                tracing::debug!(peer = self.peer.name, %refusal, "a raft message was refused");
                Unreachable::from_string(refusal).into()
            }
        }
    }

    fn senseless(&self, reply: &Reply) -> RPCError<TypeConfig> {
        Unreachable::from_string(format!("{} answered {reply:?}", self.peer.name)).into()
    }

    async fn ballot(&self, call: Call, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        match self.call(call, option.soft_ttl()).await? {
            Reply::Vote(voted) => Ok(voted.into()),
            other => Err(self.senseless(&other)),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<TypeConfig>> {
        let deadline = if request.entries.is_empty() {
            option.hard_ttl()
        } else {
            self.links.metrics.append_sent(request.entries.len());
            self.links.append_deadline
        };
        match self.call(Call::Append(Append::from(&request)), deadline).await? {
            Reply::Append(appended) => Ok(appended.into()),
            other => Err(self.senseless(&other)),
        }
    }

    async fn vote(&mut self, request: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        self.ballot(Call::Vote(Ballot::from(&request)), option).await
    }

    async fn pre_vote(&mut self, request: VoteRequest<TypeConfig>, option: RPCOption) -> Rpc<VoteResponse<TypeConfig>> {
        self.ballot(Call::PreVote(Ballot::from(&request)), option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let offer = SnapshotOffer {
            vote: StoredVote::from(&vote),
            head: SnapshotHead::new(&snapshot.meta),
        };
        tracing::info!(peer = self.peer.name, upto = ?snapshot.meta.last_log_id.map(|id| id.index), "sending a snapshot");
        let (disk, path) = (Arc::clone(&self.links.disk), snapshot.snapshot.path.clone());
        let opened = blocking(&*self.links.disk, move || disk.read(&path)).await.flatten();
        let file = opened.map_err(|error| Unreachable::from_string(format!("the snapshot cannot be read: {error}")))?;
        let body = chunks(file, Arc::clone(&self.links.disk));
        let call = Call::Snapshot(offer);
        let sent = self.links.client.send(self.to, &self.peer, call, body, SNAPSHOT_DEADLINE);
        let reply = tokio::select! {
            biased;
            reply = sent => reply.map_err(|error| self.rpc_error(&error))?,
            closed = cancel => return Err(closed.into()),
        };
        match reply {
            Reply::Snapshot(vote) => {
                self.links.metrics.snapshot_sent();
                Ok(SnapshotResponse::new(vote.into()))
            }
            other => Err(self.senseless(&other).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        let call = Call::Transfer(Transfer::from(&request));
        match self.call(call, option.soft_ttl()).await? {
            Reply::Transfer(true) => Ok(Ok(())),
            Reply::Transfer(false) => Ok(Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: None,
            })),
            other => Err(self.senseless(&other)),
        }
    }
}
