//! Changes of the members, on the raft leader. The protocol allows one at a time, each in one or two entries of the log; a
//! leader that dies between the two leaves the rest to the next one ([`super::promote`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::Instant;

use super::MAX_MEMBERS;
use super::view::{Member, MemberRole};
use crate::error::Error;
use crate::raft::RaftStore;
use crate::raft::lead::Miss;
use crate::raft::network::message::{MembersOp, MembersReply};
use crate::raft::runtime::new_id;
use crate::raft::types::{Peer, TypeConfig};

/// Pause between looks at who answers.
const PAUSE: Duration = Duration::from_millis(50);

type Done = Result<MembersReply, Miss>;

impl RaftStore {
    /// Does what only the leader can do with the members.
    pub(crate) async fn change_here(&self, op: &MembersOp, until: Instant) -> Done {
        if !self.is_raft_leader() {
            return Err(Miss::NotLeader);
        }
        // What is decided by a look at the members must still hold when it is done.
        let _one = match op {
            MembersOp::List => None,
            _ => Some(
                tokio::time::timeout_at(until, self.changing.lock())
                    .await
                    .map_err(|_| busy())?,
            ),
        };
        match op {
            MembersOp::List => Ok(MembersReply::View(self.view())),
            MembersOp::Add { name, address } => self.add(name, address, until).await,
            MembersOp::Remove { name } => self.remove(name, until).await,
            MembersOp::Transfer { to } => self.transfer(to.as_deref(), until).await.map(MembersReply::Leader),
        }
    }

    async fn add(&self, name: &str, address: &str, until: Instant) -> Done {
        let members = self.view().members;
        if let Some(there) = members.iter().find(|member| member.name == name) {
            return if there.address == address {
                Ok(MembersReply::Member(there.clone()))
            } else {
                conflict(format!(
                    "{name} is a member already, at {}; remove it first if that one is gone",
                    there.address
                ))
            };
        }
        if let Some(there) = members.iter().find(|member| member.address == address) {
            return conflict(format!("{} is at {address} already", there.name));
        }
        if members.len() >= MAX_MEMBERS {
            return conflict(format!(
                "there are {MAX_MEMBERS} masters already, which is the most there can be"
            ));
        }
        let id = self.new_id(&members);
        let peer = Peer {
            name: name.to_owned(),
            address: address.to_owned(),
            // Nobody has met it; its promotion says which one it is.
            store: None,
        };
        let nodes = BTreeMap::from([(id, peer)]);
        self.change(ChangeMembers::AddNodes(nodes), until).await?;
        tracing::info!(name, address, id, "a master was added, as a learner");
        let added = self.view().members.into_iter().find(|member| member.id == id);
        added.map(MembersReply::Member).ok_or(Miss::NotLeader)
    }

    /// An id that nobody has or had.
    fn new_id(&self, members: &[Member]) -> u64 {
        loop {
            let (id, _) = new_id().as_u64_pair();
            let taken = members.iter().any(|member| member.id == id) || self.local.identity.met(id).is_some();
            if id != 0 && !taken {
                return id;
            }
        }
    }

    async fn remove(&self, name: &str, until: Instant) -> Done {
        let members = self.view().members;
        let gone = find(&members, name)?;
        if gone.role == MemberRole::Learner {
            let ids = BTreeSet::from([gone.id]);
            self.change(ChangeMembers::RemoveNodes(ids), until).await?;
            tracing::info!(name, id = gone.id, "a learner was removed");
            return Ok(MembersReply::Removed);
        }
        let left: Vec<&Member> = members
            .iter()
            .filter(|member| member.role != MemberRole::Learner && member.id != gone.id)
            .collect();
        if left.is_empty() {
            return conflict(format!("{name} is the only voter: without it there is no store"));
        }
        // The change itself needs a majority of those that are left: begun without, it would be in the way of all writes.
        if let Some(silent) = self.without_majority(&left, until).await {
            return conflict(format!(
                "without {name} there would be no majority: {silent} does not answer; bring it back first, or remove it first"
            ));
        }
        if gone.id == self.local.identity.id() {
            // The new leader does it: the caller looks for it.
            self.transfer(None, until).await?;
            return Err(Miss::NotLeader);
        }
        let ids = BTreeSet::from([gone.id]);
        self.change(ChangeMembers::RemoveVoters(ids), until).await?;
        tracing::info!(name, id = gone.id, "a master was removed");
        Ok(MembersReply::Removed)
    }

    /// Whose silence leaves these voters without a majority. A new leader has heard of nobody yet, and waits a moment.
    async fn without_majority(&self, voters: &[&Member], until: Instant) -> Option<String> {
        let until = until.min(Instant::now() + self.options.lease());
        loop {
            let members = self.view().members;
            let live = |voter: &Member| members.iter().any(|member| member.id == voter.id && self.is_live(member));
            let silent: Vec<&str> = voters
                .iter()
                .filter(|voter| !live(voter))
                .map(|voter| voter.name.as_str())
                .collect();
            if voters.len() - silent.len() > voters.len() / 2 {
                return None;
            }
            if Instant::now() >= until {
                return Some(silent.join(", "));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives leadership to a voter and returns its name.
    pub(crate) async fn transfer(&self, to: Option<&str>, until: Instant) -> Result<String, Miss> {
        let me = self.local.identity.id();
        let heir = self.heir(to, until).await?;
        if heir.id == me {
            return Ok(heir.name);
        }
        let begun = self.raft.trigger().transfer_leader(heir.id).await;
        begun.map_err(|fatal| Miss::Final(self.fatal(&fatal)))?;
        let until = until.min(Instant::now() + 2 * self.options.election_timeout.1);
        let mut changes = self.raft.server_metrics();
        loop {
            match self.leader_id() {
                Some(id) if id != me => return Ok(self.name_of(id)),
                _ => {}
            }
            let waited = tokio::time::timeout_at(until, changes.changed()).await;
            if !matches!(waited, Ok(Ok(()))) {
                let text = format!("{} did not come to lead", heir.name);
                return Err(Miss::Final(Error::Unavailable(text)));
            }
        }
    }

    /// Who is to lead next. A new leader has heard of nobody yet, and waits a moment.
    async fn heir(&self, to: Option<&str>, until: Instant) -> Result<Member, Miss> {
        let until = until.min(Instant::now() + self.options.lease());
        loop {
            let members = self.view().members;
            let unable = match to {
                Some(name) => {
                    let heir = find(&members, name)?;
                    if heir.id == self.local.identity.id() || (heir.role == MemberRole::Voter && self.is_live(heir)) {
                        return Ok(heir.clone());
                    }
                    if heir.role == MemberRole::Learner {
                        return conflict(format!("{name} is a learner yet, and cannot lead"));
                    }
                    format!("{name} does not answer, and cannot lead")
                }
                None => {
                    let able = members
                        .into_iter()
                        .filter(|member| member.role == MemberRole::Voter && self.is_live(member) && !member.disk_full);
                    if let Some(heir) = able.max_by_key(|member| member.matched) {
                        return Ok(heir);
                    }
                    "there is no other voter that answers".to_owned()
                }
            };
            if Instant::now() >= until {
                return conflict(unable);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Puts a change through the log.
    pub(crate) async fn change(&self, change: ChangeMembers<u64, Peer>, until: Instant) -> Result<(), Miss> {
        let changed = tokio::time::timeout_at(until, self.raft.change_membership(change, false)).await;
        let unknown = |_| Miss::Final(Error::Timeout("the change of the members may or may not happen".to_owned()));
        match changed.map_err(unknown)? {
            Ok(_) => Ok(()),
            Err(RaftError::Fatal(fatal)) => Err(Miss::Final(self.fatal(&fatal))),
            Err(RaftError::APIError(error)) => Err(change_error(error)),
        }
    }

    /// Whether a member has answered its leader, which this node is, of late.
    pub(crate) fn is_live(&self, member: &Member) -> bool {
        let lease = self.options.election_timeout.1;
        member.id == self.local.identity.id() || member.silent_ms.is_some_and(|silent| u128::from(silent) <= lease.as_millis())
    }
}

fn find<'a>(members: &'a [Member], name: &str) -> Result<&'a Member, Miss> {
    let found = members.iter().find(|member| member.name == name);
    found.ok_or_else(|| Miss::Final(Error::NotFound(format!("there is no master {name} in the cluster"))))
}

fn conflict<T>(text: String) -> Result<T, Miss> {
    Err(Miss::Final(Error::Conflict(text)))
}

fn busy() -> Miss {
    Miss::Final(Error::Conflict(
        "another change of the members is under way; try again".to_owned(),
    ))
}

fn change_error(error: ClientWriteError<TypeConfig>) -> Miss {
    match error {
        // The first of two steps may have been done; the next leader does the second.
        ClientWriteError::ForwardToLeader(_) => Miss::NotLeader,
        ClientWriteError::LogEntryDiscarded(_) => Miss::Final(Error::Timeout(
            "the raft leader changed; the change of the members may or may not happen".to_owned(),
        )),
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => busy(),
        other => Miss::Final(Error::Conflict(other.to_string())),
    }
}

impl RaftStore {
    /// Hands leadership over, if this node leads and another can: before a stop, so that writes go on at once.
    pub async fn hand_over(&self) {
        let voters = self.raft.metrics().borrow_watched().membership_config.voter_ids().count();
        if !self.is_raft_leader() || voters < 2 {
            return;
        }
        match self.transfer(None, Instant::now() + self.options.election_timeout.0).await {
            Ok(heir) => tracing::info!(heir, "leadership of the control store was handed over"),
            Err(miss) => tracing::warn!(?miss, "leadership of the control store could not be handed over"),
        }
    }
}
