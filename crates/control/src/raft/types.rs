//! The types openraft is instantiated with. Standard Raft: at most one leader a term, so a log position is (term, index).

use std::sync::Arc;

use openraft::impls::leader_id_std;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::runtime::Runtime;
use crate::error::Error;
use crate::state::{Command, Outcome};

/// What a command answered, on every node alike.
pub(crate) type Reply = Result<Outcome, Error>;

/// A master, as the membership in the log names it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Its name (`NODE_ID`).
    pub name: String,
    /// `host:port` of its private listener.
    pub address: String,
    /// Id of its data directory: known of every voter, so that whoever counts its votes knows whose they must be. A learner
    /// has none on record until it is promoted.
    pub store: Option<Uuid>,
}

openraft::declare_raft_types!(
    /// Our choice of types.
    pub(crate) TypeConfig:
        D = Arc<Command>,
        R = Reply,
        NodeId = u64,
        Node = Peer,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

pub(crate) type CommittedLeader = openraft::type_config::alias::CommittedLeaderIdOf<TypeConfig>;
pub(crate) type LogId = openraft::LogId<CommittedLeader>;
pub(crate) type Vote = openraft::Vote<leader_id_std::LeaderId<u64, u64>>;
pub(crate) type Membership = openraft::Membership<u64, Peer>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeader, u64, Peer>;
pub(crate) type Payload = openraft::EntryPayload<Arc<Command>, u64, Peer>;
pub(crate) type Entry = openraft::Entry<CommittedLeader, Payload>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeader, u64, Peer>;
