//! The members as the raft leader sees them.

use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver as _;
use serde::{Deserialize, Serialize};

use crate::raft::RaftStore;
use crate::raft::types::StoredMembership;

/// A master that keeps the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name (`NODE_ID`).
    pub name: String,
    /// Its raft id. It does not fit a JSON number: show it as `{:016x}`.
    pub id: u64,
    /// `host:port` of its private listener.
    pub address: String,
    /// Its part.
    pub role: MemberRole,
    /// Index of the last entry known to be on its disk; none when the leader does not know yet, or nobody leads.
    pub matched: Option<u64>,
    /// Entries behind the leader.
    pub lag: Option<u64>,
    /// Milliseconds since its last answer to the leader; none when it has not answered this one.
    pub silent_ms: Option<u64>,
    /// Its disk is full: it takes no entries.
    pub disk_full: bool,
}

/// A member's part in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// Orders all writes.
    Leader,
    /// Votes, and counts for what is acknowledged.
    Voter,
    /// Is brought up to date, to become a voter by itself.
    Learner,
}

/// What the raft leader knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaderView {
    pub(crate) term: u64,
    pub(crate) last_log: u64,
    pub(crate) members: Vec<Member>,
}

impl RaftStore {
    /// The members as this node sees them; only on the leader with their progress.
    pub(crate) fn view(&self) -> LeaderView {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let last_log = metrics.last_log_index.unwrap_or(0);
        let me = self.local.identity.id();
        let leads = metrics.state.is_leader();
        let membership: &StoredMembership = &metrics.membership_config;
        let voters: Vec<u64> = membership.voter_ids().collect();
        let members = membership.nodes().map(|(id, peer)| {
            let (own, id) = (*id == me && leads, *id);
            let matched = if own {
                metrics.last_log_index
            } else {
                let progress = metrics.replication.as_ref().and_then(|replication| replication.get(&id));
                progress.copied().flatten().map(|log_id| log_id.index)
            };
            let heard = metrics.heartbeat.as_ref().and_then(|heard| heard.get(&id).copied().flatten());
            let silence = if own { Some(0) } else { heard.map(|at| millis(at.elapsed())) };
            Member {
                name: peer.name.clone(),
                id,
                address: self.local.contacts.address(id).unwrap_or_else(|| peer.address.clone()),
                role: match () {
                    () if metrics.current_leader == Some(id) => MemberRole::Leader,
                    () if voters.contains(&id) => MemberRole::Voter,
                    () => MemberRole::Learner,
                },
                matched: matched.filter(|_| leads),
                lag: matched.filter(|_| leads).map(|matched| last_log.saturating_sub(matched)),
                silent_ms: silence.filter(|_| leads),
                disk_full: if id == me {
                    self.log.is_full()
                } else {
                    self.local.contacts.is_full(id)
                },
            }
        });
        let mut members: Vec<Member> = members.collect();
        members.sort_by(|left, right| left.name.cmp(&right.name));
        LeaderView {
            term: metrics.current_term,
            last_log,
            members,
        }
    }

    /// Name of a member, or its id where there is none of that id.
    pub(crate) fn name_of(&self, id: u64) -> String {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let peer = metrics.membership_config.membership().get_node(&id);
        peer.map_or_else(|| format!("{id:016x}"), |peer| peer.name.clone())
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
