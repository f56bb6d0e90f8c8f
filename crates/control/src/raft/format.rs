//! Our own on-disk forms of what openraft hands us (postcard), so that another version of it reads the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};

use super::types::{CommittedLeader, Entry, LogId, Membership, Payload, Peer, StoredMembership, Vote};
use crate::state::Command;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Term of the leader that wrote it.
    pub(crate) term: u64,
    /// Its index, 0-based.
    pub(crate) index: u64,
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredVote {
    term: u64,
    node_id: u64,
    committed: bool,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredEntry {
    position: Position,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Content {
    Blank,
    Command(Arc<Command>),
    Members(Members),
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    voters: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, Peer>,
}

impl From<LogId> for Position {
    fn from(id: LogId) -> Self {
        Self {
            term: id.leader_id.term,
            index: id.index,
        }
    }
}

impl From<Position> for LogId {
    fn from(position: Position) -> Self {
        Self::new(CommittedLeader::from(position.term), position.index)
    }
}

impl From<&Vote> for StoredVote {
    fn from(vote: &Vote) -> Self {
        Self {
            term: vote.leader_id.term(),
            node_id: *vote.leader_id.node_id(),
            committed: vote.committed,
        }
    }
}

impl From<StoredVote> for Vote {
    fn from(vote: StoredVote) -> Self {
        if vote.committed {
            Self::new_committed(vote.term, vote.node_id)
        } else {
            Self::new(vote.term, vote.node_id)
        }
    }
}

impl StoredEntry {
    /// Bytes it takes, about.
    pub(crate) fn weight(&self) -> usize {
        /// Charged for the rest of an entry.
        const OVERHEAD: usize = 64;
        let command = match &self.content {
            Content::Command(command) => command.bytes(),
            Content::Blank | Content::Members(_) => 0,
        };
        command + OVERHEAD
    }
}

impl From<&Entry> for StoredEntry {
    fn from(entry: &Entry) -> Self {
        let content = match &entry.payload {
            Payload::Blank => Content::Blank,
            Payload::Normal(command) => Content::Command(Arc::clone(command)),
            Payload::Membership(membership) => Content::Members(membership.into()),
        };
        Self {
            position: entry.log_id.into(),
            content,
        }
    }
}

impl TryFrom<StoredEntry> for Entry {
    type Error = String;

    fn try_from(entry: StoredEntry) -> Result<Self, String> {
        let payload = match entry.content {
            Content::Blank => Payload::Blank,
            Content::Command(command) => Payload::Normal(command),
            Content::Members(members) => Payload::Membership(members.try_into()?),
        };
        Ok(Self {
            log_id: entry.position.into(),
            payload,
        })
    }
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        let nodes = membership.nodes().map(|(id, peer)| (*id, peer.clone())).collect();
        Self {
            voters: membership.get_joint_config().clone(),
            nodes,
        }
    }
}

impl TryFrom<Members> for Membership {
    type Error = String;

    fn try_from(members: Members) -> Result<Self, String> {
        // The membership of a store without any log entry names nobody, which the checked constructor refuses.
        if members.voters.is_empty() && members.nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(members.voters, members.nodes).map_err(|error| error.to_string())
    }
}

/// A membership and the entry that set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlacedMembers {
    position: Option<Position>,
    members: Members,
}

impl From<&StoredMembership> for PlacedMembers {
    fn from(stored: &StoredMembership) -> Self {
        Self {
            position: stored.log_id().map(Position::from),
            members: stored.membership().into(),
        }
    }
}

impl TryFrom<PlacedMembers> for StoredMembership {
    type Error = String;

    fn try_from(placed: PlacedMembers) -> Result<Self, String> {
        Ok(Self::new(placed.position.map(LogId::from), placed.members.try_into()?))
    }
}
