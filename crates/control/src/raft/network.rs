//! The way to the other masters. openraft's network traits are the seam: the engine is opened with any implementation of
//! them. [`SingleNode`] is the one for a cluster of one; it has no peers, and says so when asked for one.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{OptionalSend, type_config::alias::SnapshotOf};

use super::snapshot::SnapshotFile;
use super::types::{Peer, TypeConfig, Vote};

/// A network without peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SingleNode;

/// A peer that is not there.
#[derive(Debug)]
pub(crate) struct Absent {
    id: u64,
}

impl RaftNetworkFactory<TypeConfig> for SingleNode {
    type Network = Absent;

    async fn new_client(&mut self, target: u64, _peer: &Peer) -> Absent {
        Absent { id: target }
    }
}

impl Absent {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        Unreachable::from_string(format!("raft node {} is not part of a cluster of one", self.id))
    }
}

impl RaftNetworkV2<TypeConfig> for Absent {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}
