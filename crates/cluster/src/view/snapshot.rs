//! The cluster at one moment, as this node knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::member::{Member, Phase, Role};
use api::{BootId, Epoch, NodeId};
use control::Revision;

use crate::{Leader, Routing};

/// Members, ring and leader. Immutable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub(super) members: BTreeMap<(Role, NodeId), Member>,
    pub(super) leader: Option<Leader>,
    pub(super) ring: VersionedRing,
    pub(super) drains: BTreeMap<NodeId, BootId>,
    pub(super) rebalance: bool,
    pub(super) heard: Revision,
    pub(super) complete: bool,
}

/// The ring, and where it stands in the history of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionedRing {
    /// The ring with addresses; shared by all snapshots until it changes.
    pub routing: Arc<Routing>,
    /// Revision that wrote the record; 0 while there is none.
    pub mod_revision: Revision,
}

impl Snapshot {
    /// All registered nodes, by role and name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Registered nodes of one role, by name.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |member| member.role == role)
    }

    /// One registered node.
    #[must_use]
    pub fn member(&self, role: Role, id: &NodeId) -> Option<&Member> {
        self.members.get(&(role, id.clone()))
    }

    /// Who leads, when known.
    #[must_use]
    pub fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// The ring with addresses.
    #[must_use]
    pub fn routing(&self) -> &Arc<Routing> {
        &self.ring.routing
    }

    /// The ring and its revision.
    #[must_use]
    pub fn ring(&self) -> &VersionedRing {
        &self.ring
    }

    /// Epoch of the ring; 0 while there is none.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.ring.routing.epoch()
    }

    /// How far a change of the ring has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.ring.routing.record().phase
    }

    /// Lives of auxiliaries that were asked to leave the ring, or have left it for that reason.
    #[must_use]
    pub const fn drains(&self) -> &BTreeMap<NodeId, BootId> {
        &self.drains
    }

    /// Whether all auxiliaries were asked to compare what they hold, and the leader has not begun with it.
    #[must_use]
    pub const fn rebalance(&self) -> bool {
        self.rebalance
    }

    /// Whether a rebalance that was asked for at the revision `asked` is over: a ring that was written after the request, and is
    /// stable, was compared after the request. The request is gone from the record's write on that begins it.
    #[must_use]
    pub fn is_rebalanced_since(&self, asked: Revision) -> bool {
        self.heard >= asked && !self.rebalance && self.ring.mod_revision > asked && self.phase() == Phase::Stable
    }

    /// Revision up to which all that concerns the ring has been heard.
    #[must_use]
    pub const fn heard(&self) -> Revision {
        self.heard
    }

    /// Whether everything has been listed once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}
