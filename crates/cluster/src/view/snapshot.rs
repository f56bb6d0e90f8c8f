//! The cluster at one moment, as this node knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::member::{Member, Role};
use api::{Epoch, NodeId};
use control::Revision;

use crate::{Leader, Routing};

/// Members, ring and leader. Immutable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub(super) members: BTreeMap<(Role, NodeId), Member>,
    pub(super) leader: Option<Leader>,
    pub(super) ring: VersionedRing,
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

    /// Whether everything has been listed once.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}
