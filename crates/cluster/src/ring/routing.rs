//! Which nodes answer for a key, and where they are: what masters and auxiliaries look up for every operation.
//!
//! While the ring changes two layouts are in force. What follows from the phase, for one key:
//!
//! | phase | reads, the primary first | writes go to |
//! |---|---|---|
//! | stable | owners | owners |
//! | moving | previous owners that are not lost | these and the owners |
//! | settling | owners that are not lost | these and the previous owners that are not lost |
//!
//! A node may answer reads of a key only if it got every acknowledged write of it: so the readers are always a subset of
//! those that the writes of the same epoch, and of the epoch before, go to.

use std::collections::BTreeMap;

use api::member::{Layout, Member, Phase, RingRecord};
use api::{BootId, Epoch, NodeId};
use hash_ring::{MAX_OWNERS, Ring, hash_key};

use super::nodes::{NodeIndex, Nodes};
use super::placement::{replicas_of, ring_of};

/// An auxiliary that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub id: NodeId,
    /// This life of it; goes with every call.
    pub boot_id: BootId,
    /// `host:port`.
    pub address: String,
}

/// Who answers for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Those who have every acknowledged write: the primary, then those to read from when it does not answer. Empty while
    /// no copy is left and the owners put together what their backups have.
    pub readers: Nodes,
    /// Everybody else who must have a write before it is acknowledged.
    pub copies: Nodes,
}

impl Plan {
    /// Who orders the writes of the key.
    #[must_use]
    pub fn primary(&self) -> Option<NodeIndex> {
        self.readers.first().copied()
    }
}

/// What a node is to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It orders the writes.
    Primary,
    /// It holds a copy.
    Copy,
}

/// Where a node finds what it must hold of a key while the ring changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It has it, or need not have it.
    Here,
    /// From the one who orders the writes: what it says counts.
    Primary(NodeIndex),
    /// From everybody: no copy is left, and the newest version of any backup counts.
    Everybody,
}

/// One life of an auxiliary in either layout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    id: NodeId,
    boot_id: BootId,
    /// None for a life that is over, or was never heard of.
    owner: Option<Owner>,
}

/// A layout with its ring; places of its members in [`Routing::nodes`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    ring: Ring,
    replicas: usize,
    /// In the order of the ring's members.
    nodes: Vec<NodeIndex>,
    lost: Vec<bool>,
}

impl Placed {
    fn new(layout: &Layout, nodes: &mut Vec<Node>, known: &BTreeMap<NodeId, Member>) -> Self {
        let (ring, members) = ring_of(layout);
        let mut index_of = |id: &NodeId, boot_id: BootId| {
            let place = nodes.iter().position(|node| node.id == *id && node.boot_id == boot_id);
            NodeIndex::new(place.unwrap_or_else(|| {
                let alive = known.get(id).filter(|member| member.boot_id == boot_id);
                nodes.push(Node {
                    id: id.clone(),
                    boot_id,
                    owner: alive.map(|member| Owner {
                        id: id.clone(),
                        boot_id,
                        address: member.address.clone(),
                    }),
                });
                nodes.len() - 1
            }))
        };
        Self {
            ring,
            replicas: replicas_of(layout),
            nodes: members.iter().map(|member| index_of(&member.id, member.boot_id)).collect(),
            lost: members.iter().map(|member| member.lost).collect(),
        }
    }

    /// The owners of a place on the ring; with `alive`, without those that are lost.
    fn owners(&self, hash: u64, alive: bool) -> Nodes {
        let owners = self.ring.owners(hash, self.replicas);
        owners
            .iter()
            .filter(|index| !alive || !self.lost[**index as usize])
            .map(|index| self.nodes[*index as usize])
            .collect()
    }
}

/// The ring with addresses. Immutable; a new one comes with every change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    record: RingRecord,
    current: Option<Placed>,
    previous: Option<Placed>,
    nodes: Vec<Node>,
}

impl Routing {
    /// Joins a record with the addresses of its members.
    #[must_use]
    pub fn new(record: &RingRecord, known: &BTreeMap<NodeId, Member>) -> Self {
        let mut nodes = Vec::new();
        let current = Placed::new(&record.layout, &mut nodes, known);
        let previous = record.previous.as_ref().map(|layout| Placed::new(layout, &mut nodes, known));
        Self {
            record: record.clone(),
            current: Some(current),
            previous,
            nodes,
        }
    }

    /// The record it was built from.
    #[must_use]
    pub const fn record(&self) -> &RingRecord {
        &self.record
    }

    /// Goes with every call.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.record.epoch
    }

    /// Who answers for the key at this place on the ring ([`hash_key`]). No allocation.
    #[must_use]
    pub fn plan(&self, hash: u64) -> Plan {
        let Some(current) = &self.current else {
            return Plan::default();
        };
        let owners = current.owners(hash, true);
        let (readers, others) = match (&self.previous, self.record.phase) {
            (Some(previous), Phase::Moving) => (previous.owners(hash, true), owners),
            (Some(previous), Phase::Settling) => (owners, previous.owners(hash, true)),
            _ => (owners, Nodes::default()),
        };
        let all = readers.iter().chain(others.iter()).skip(usize::from(!readers.is_empty()));
        let mut copies = Nodes::default();
        for node in all {
            if Some(node) != readers.first() && !copies.contains(node) {
                copies.push(*node);
            }
        }
        Plan { readers, copies }
    }

    /// Who ordered the writes of the key at this place before, while the ring settles: it may have applied some that have
    /// not arrived elsewhere.
    #[must_use]
    pub fn predecessor(&self, hash: u64) -> Option<NodeIndex> {
        let previous = self.previous.as_ref().filter(|_| self.record.phase == Phase::Settling)?;
        previous.owners(hash, true).first().copied()
    }

    /// What a node is to the key at this place; none when it need not hold it.
    #[must_use]
    pub fn duty(&self, node: NodeIndex, hash: u64) -> Option<Duty> {
        let plan = self.plan(hash);
        if plan.primary() == Some(node) {
            Some(Duty::Primary)
        } else {
            plan.copies.contains(&node).then_some(Duty::Copy)
        }
    }

    /// Where a node finds what it must hold of the key at this place, while the ring moves.
    #[must_use]
    pub fn source(&self, node: NodeIndex, hash: u64) -> Source {
        let Some(current) = self.current.as_ref().filter(|_| self.record.phase == Phase::Moving) else {
            return Source::Here;
        };
        if !current.owners(hash, false).contains(&node) {
            return Source::Here;
        }
        match self.plan(hash).primary() {
            Some(primary) if primary == node => Source::Here,
            Some(primary) => Source::Primary(primary),
            None => Source::Everybody,
        }
    }

    /// The place of a life of a node in this routing.
    #[must_use]
    pub fn index_of(&self, id: &NodeId, boot_id: BootId) -> Option<NodeIndex> {
        let place = self.nodes.iter().position(|node| node.id == *id && node.boot_id == boot_id);
        place.map(NodeIndex::new)
    }

    /// The place of a life, whoever's it is.
    #[must_use]
    pub fn index_of_life(&self, boot_id: BootId) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.boot_id == boot_id).map(NodeIndex::new)
    }

    /// Whether this life of a node has a part in the ring: it is a member, or was one and is not lost.
    #[must_use]
    pub fn serves(&self, id: &NodeId, boot_id: BootId) -> bool {
        let layouts = std::iter::once(&self.record.layout).chain(&self.record.previous);
        let mut members = layouts.flat_map(|layout| &layout.members);
        members.any(|member| member.id == *id && member.boot_id == boot_id && !member.lost)
    }

    /// Whether a node has a part in the ring.
    #[must_use]
    pub fn is_serving(&self, index: NodeIndex) -> bool {
        let node = self.nodes.get(index.get());
        node.is_some_and(|node| self.serves(&node.id, node.boot_id))
    }

    /// How to call a node; none when that life is over or was never heard of.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> Option<&Owner> {
        self.nodes.get(index.get())?.owner.as_ref()
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, index: NodeIndex) -> Option<&NodeId> {
        self.nodes.get(index.get()).map(|node| &node.id)
    }

    /// Every life in either layout.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).map(NodeIndex::new)
    }

    /// The members of the layout that is in force, or is to come.
    pub fn members(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.current.iter().flat_map(|placed| placed.nodes.iter().copied())
    }

    /// The first owner of a key that can be called, whatever phase: for what is not replicated.
    #[must_use]
    pub fn owner(&self, namespace: &str, key: &str) -> Option<&Owner> {
        let owners = self.current.as_ref()?.owners(hash_key(namespace, key), false);
        self.node(*owners.first()?)
    }

    /// The members that can be called and are not lost: the owners of the key first, in order, then all others. For what is
    /// written to so many of the first ones, and may be left at any of the others for a while.
    #[must_use]
    pub fn candidates(&self, namespace: &str, key: &str) -> Vec<&Owner> {
        let Some(current) = &self.current else {
            return Vec::new();
        };
        let owners = current.ring.owners(hash_key(namespace, key), MAX_OWNERS);
        let others = (0..current.nodes.len()).filter(|index| !owners.iter().any(|owner| *owner as usize == *index));
        let all = owners.iter().map(|owner| *owner as usize).chain(others);
        let alive = all.filter(|index| !current.lost[*index]);
        alive.filter_map(|index| self.node(current.nodes[index])).collect()
    }

    /// All members with the part of all keys each is the primary of.
    pub fn shares(&self) -> impl Iterator<Item = (&NodeId, f64)> {
        self.current.iter().flat_map(|placed| {
            let names = placed.nodes.iter().filter_map(|index| self.name(*index));
            names.zip(placed.ring.shares())
        })
    }
}
