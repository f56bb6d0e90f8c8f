//! The control store's own members, as `/cluster` shows and changes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who keeps the control store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The masters, by the built-in engine.
    Raft,
    /// An etcd cluster.
    Etcd,
}

impl Engine {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Etcd => "etcd",
        }
    }
}

/// What a member does in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreRole {
    /// Orders the writes. Not to be confused with the master that schedules jobs.
    Leader,
    /// Counts for a majority.
    Voter,
    /// Is brought up to date, and then becomes a voter by itself.
    Learner,
}

impl StoreRole {
    /// As in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Voter => "voter",
            Self::Learner => "learner",
        }
    }
}

/// A member of the control store, as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreMember {
    /// Its name: `NODE_ID` of the master; the name of an etcd server.
    pub name: String,
    /// Its identity in the protocol, 16 hexadecimal digits. Never used again once it is removed.
    pub id: String,
    /// `host:port` where the other members reach it.
    pub address: String,
    /// What it does.
    pub role: StoreRole,
    /// Index of the last log entry that is on its disk; null while that is not known.
    pub matched: Option<u64>,
    /// Entries it is behind the leader; null while that is not known.
    pub lag: Option<u64>,
    /// Milliseconds since it last answered the leader; null when it has not answered this leader, and on etcd.
    #[serde(default)]
    pub silent_ms: Option<u64>,
    /// Its disk is full.
    #[serde(default)]
    pub disk_full: bool,
}

/// Answer of `GET /cluster/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreMembers {
    /// In order of their names.
    pub members: Vec<StoreMember>,
}

/// Answer of `GET /cluster/status`: how the control store is, as the answering master sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreStatus {
    /// Who keeps it.
    pub engine: Engine,
    /// Identity of the store's cluster.
    pub cluster_id: String,
    /// The master that answers.
    pub answered_by: String,
    /// The member that leads, when one is known.
    pub leader: Option<String>,
    /// Term of the protocol.
    pub term: u64,
    /// Index of the last log entry that a majority has.
    pub committed: u64,
    /// Index of the last log entry that the answering master has applied.
    pub applied: u64,
    /// Index of the last log entry in its newest snapshot; null on etcd.
    #[serde(default)]
    pub snapshot: Option<u64>,
    /// Revision of the store there.
    pub revision: u64,
    /// Bytes of all keys and values; on etcd, of its file.
    pub db_bytes: u64,
    /// Bytes of the user's keys, those of `/kv`; null on etcd.
    #[serde(default)]
    pub kv_bytes: Option<u64>,
    /// Bytes that the user's keys may take; on etcd, that its file may; null when it does not say.
    pub quota: Option<u64>,
    /// The disk of the answering master is full: it takes nothing until there is room again.
    #[serde(default)]
    pub disk_full: bool,
    /// Whether a majority answers: without one there are no writes and no linearizable reads.
    pub quorum: bool,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// In order of their names.
    pub members: Vec<StoreMember>,
}

/// Body of `POST /cluster/join` that makes a place for another master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Its `NODE_ID`.
    pub name: String,
    /// `host:port` of its private listener, as the others reach it.
    pub address: String,
}

/// Body of `POST /cluster/transfer-leader`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransferLeader {
    /// The voter that is to lead; whoever is furthest when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Answer of `POST /cluster/transfer-leader`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transferred {
    /// The member that leads now.
    pub leader: String,
}
