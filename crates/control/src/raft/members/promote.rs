//! What the raft leader does about the members by itself: learners that have caught up become voters, a change that another
//! leader left half done is finished, addresses that have changed are written down. Any leader does, so that none of it is
//! lost with one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver as _;
use tokio::time::Instant;

use super::view::MemberRole;
use crate::raft::RaftStore;
use crate::raft::types::Peer;

/// A learner this close may vote: the next message brings the rest.
const CLOSE: u64 = 200;

/// Time for a step.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Finish,
    /// With its data directory on record: from then on no other votes under its id.
    Promote(u64, Peer),
    Readdress(BTreeMap<u64, Peer>),
}

impl RaftStore {
    /// Does what is to be done next, if this node leads and no change is under way.
    pub(crate) async fn tend_members(&self) {
        if !self.is_raft_leader() || self.log.is_full() {
            return;
        }
        let Some(step) = self.next_step() else { return };
        let change = match &step {
            Step::Finish => ChangeMembers::AddVoterIds(BTreeSet::new()),
            Step::Promote(id, peer) => ChangeMembers::Batch(vec![
                ChangeMembers::SetNodes(BTreeMap::from([(*id, peer.clone())])),
                ChangeMembers::AddVoterIds(BTreeSet::from([*id])),
            ]),
            Step::Readdress(peers) => ChangeMembers::SetNodes(peers.clone()),
        };
        match self.change(change, Instant::now() + PATIENCE).await {
            Ok(()) => tracing::info!(?step, "the members of the control store have changed"),
            Err(miss) => tracing::debug!(?step, ?miss, "a change of the members has to wait"),
        }
    }

    fn next_step(&self) -> Option<Step> {
        let moved = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            if metrics.membership_config != metrics.committed_membership_config {
                return None;
            }
            let membership = metrics.membership_config.membership();
            if membership.get_joint_config().len() > 1 {
                return Some(Step::Finish);
            }
            let peers = membership.nodes().filter_map(|(id, peer)| {
                let address = match *id == metrics.id {
                    true if membership.nodes().count() == 1 => self.options.address.clone(),
                    true => self.local.client.announced(),
                    false => self.local.contacts.address(*id).unwrap_or_default(),
                };
                let address = Some(address).filter(|address| !address.is_empty() && *address != peer.address)?;
                Some((*id, Peer { address, ..peer.clone() }))
            });
            peers.collect::<BTreeMap<u64, Peer>>()
        };
        if !moved.is_empty() {
            return Some(Step::Readdress(moved));
        }
        let learners = self
            .view()
            .members
            .into_iter()
            .filter(|member| member.role == MemberRole::Learner);
        let mut ready = learners.filter(|member| {
            let caught_up = member.matched.is_some() && member.lag.is_some_and(|lag| lag <= CLOSE);
            caught_up && !member.disk_full && self.is_live(member)
        });
        ready.next().and_then(|member| self.promotion(member.id))
    }

    fn promotion(&self, id: u64) -> Option<Step> {
        let store = self.local.identity.met(id)?;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let peer = metrics.membership_config.membership().get_node(&id)?.clone();
        Some(Step::Promote(
            id,
            Peer {
                store: Some(store),
                ..peer
            },
        ))
    }
}
