//! Calls about the members, from any master; the raft leader executes them.

use std::time::Duration;

use tokio::time::Instant;

use super::view::{LeaderView, Member};
use crate::Result;
use crate::error::Error;
use crate::raft::RaftStore;
use crate::raft::calls::millis;
use crate::raft::initial::is_address;
use crate::raft::lead::{ForLeader, Miss};
use crate::raft::network::message::{Call, MembersOp, MembersReply, Reply};

/// Time for a change: two entries of the log, and perhaps a new leader. Less than clients are given, so that they hear why.
const PATIENCE: Duration = Duration::from_secs(8);

impl RaftStore {
    /// The members, as the raft leader sees them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a leader.
    pub async fn members(&self) -> Result<Vec<Member>> {
        Ok(self.leader_view().await?.members)
    }

    /// Makes a place for a new master, as a learner; it becomes a voter by itself when it has caught up. Asked again for a
    /// member that is there, at the same address, it gives that one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name or an address that is none; [`Error::Conflict`] when there is one of that name at
    /// another address, when there are enough, or when another change is under way.
    pub async fn add_member(&self, name: &str, address: &str) -> Result<Member> {
        if api::NodeId::try_new(name).is_err() {
            return Err(Error::Invalid(format!("{name:?} is no name for a node")));
        }
        if !is_address(address) {
            return Err(Error::Invalid(format!("{address:?} is not HOST:PORT of a private listener")));
        }
        let op = MembersOp::Add {
            name: name.to_owned(),
            address: address.to_owned(),
        };
        match self.members_op(op).await? {
            MembersReply::Member(member) => Ok(member),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes a master out of the cluster; the leader hands over first. Its name may be added again, as a new member.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that name; [`Error::Conflict`] when it is the only voter, when another
    /// change is under way, or when too few of those that are left answer.
    pub async fn remove_member(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        match self.members_op(MembersOp::Remove { name }).await? {
            MembersReply::Removed => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives leadership to a voter, the one that is furthest unless named, and returns its name once it leads.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that name; [`Error::Conflict`] when it cannot lead; [`Error::Unavailable`]
    /// when it did not come to lead.
    pub async fn transfer_leader(&self, to: Option<&str>) -> Result<String> {
        let to = to.map(str::to_owned);
        match self.members_op(MembersOp::Transfer { to }).await? {
            MembersReply::Leader(name) => Ok(name),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn leader_view(&self) -> Result<LeaderView> {
        match self.members_op(MembersOp::List).await? {
            MembersReply::View(view) => Ok(view),
            other => Err(unexpected(&other)),
        }
    }

    async fn members_op(&self, op: MembersOp) -> Result<MembersReply> {
        let patience = if op == MembersOp::List {
            self.options.request_timeout
        } else {
            PATIENCE
        };
        self.by_leader(&op, Instant::now() + patience).await
    }
}

impl ForLeader for MembersOp {
    type Answer = MembersReply;
    const REPEATABLE: bool = false;

    async fn here(&self, store: &RaftStore, until: Instant) -> std::result::Result<MembersReply, Miss> {
        store.change_here(self, until).await
    }

    fn call(&self, left: Duration) -> Call {
        Call::Members {
            left_ms: millis(left),
            op: self.clone(),
        }
    }

    fn take(reply: Reply) -> Option<Result<MembersReply>> {
        match reply {
            Reply::Members(done) => Some(done),
            _ => None,
        }
    }
}

fn unexpected(reply: &MembersReply) -> Error {
    Error::Damaged(format!("the raft leader answered {reply:?}"))
}
