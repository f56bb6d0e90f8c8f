//! The leader of the model: probes, decides with [`next`], writes.

use std::collections::{BTreeMap, BTreeSet};

use api::cache::MasterStatus;
use api::member::RingRecord;
use api::{BootId, Epoch, NodeId};
use cluster::RingPolicy;
use cluster::change::{Health, Report, Request, Seen, Step, moot, next, stranded};

use crate::invariants;
use crate::world::{Node, World};

/// What a leader remembers, and what operators asked it for.
#[derive(Debug)]
pub(crate) struct Leader {
    pub(crate) policy: RingPolicy,
    pub(crate) drains: BTreeMap<NodeId, BootId>,
    pub(crate) rebalance: bool,
    /// What another master says it cannot reach.
    pub(crate) master: BTreeSet<NodeId>,
    pub(crate) patience_over: bool,
    pub(crate) overdue: bool,
    pub(crate) health: BTreeMap<NodeId, Health>,
    pub(crate) complaints: BTreeMap<(NodeId, NodeId), u64>,
}

impl Leader {
    pub(crate) fn new(policy: RingPolicy) -> Self {
        Self {
            complaints: BTreeMap::new(),
            policy,
            drains: BTreeMap::new(),
            rebalance: false,
            master: BTreeSet::new(),
            patience_over: false,
            overdue: false,
            health: BTreeMap::new(),
        }
    }

    /// Another master leads: it knows nothing of probes.
    pub(crate) fn depose(&mut self) {
        self.health.clear();
        (self.patience_over, self.overdue) = (false, false);
    }

    /// Probes one node.
    pub(crate) fn probe(&mut self, world: &World, id: &NodeId) {
        let Some(node) = world.nodes.get(id) else {
            return;
        };
        let boot_id = node.member.boot_id;
        let known = world
            .record
            .iter()
            .flat_map(members)
            .any(|(member, boot)| member == id && boot == boot_id);
        if !node.registered && !known {
            self.health.remove(id);
            return;
        }
        let health = self.health.entry(id.clone()).or_insert_with(|| Health::new(boot_id));
        if health.boot_id != boot_id {
            *health = Health::new(boot_id);
        }
        if node.alive && !node.cut_off {
            health.answered(Some(report(world, node)));
        } else {
            health.failed();
        }
    }

    pub(crate) fn see(&self, world: &World) -> Seen {
        let registered = world.nodes.values().filter(|node| node.registered);
        let epoch = world.record.as_ref().map_or(Epoch(0), |record| record.epoch);
        let status = MasterStatus {
            epoch,
            unreachable: self.master.iter().cloned().collect(),
            ..MasterStatus::default()
        };
        let mut seen = Seen {
            registered: registered.map(|node| (node.member.id.clone(), node.member.clone())).collect(),
            health: self.health.clone(),
            masters: BTreeMap::from([(NodeId::try_new("master-2").expect("valid"), status)]),
            drains: self.drains.clone(),
            known: world.record.clone().unwrap_or_default(),
            rebalance: self.rebalance,
            complaints: self.complaints.clone(),
            patience_over: false,
            overdue: self.overdue,
        };
        seen.patience_over = self.patience_over && world.record.as_ref().is_some_and(|record| stranded(record, &seen));
        seen
    }

    /// Takes one step, if one is called for.
    pub(crate) fn step(&mut self, world: &mut World) -> Option<Step> {
        let seen = self.see(world);
        for request in moot(world.record.as_ref(), &seen) {
            self.answer(&request);
        }
        let step = next(world.record.as_ref(), &seen, self.policy)?;
        step.answers.iter().for_each(|request| self.answer(request));
        invariants::transition(world, &seen, &step.record);
        world.write_record(step.record.clone());
        self.overdue = false;
        Some(step)
    }

    fn answer(&mut self, request: &Request) {
        match request {
            Request::Drain(id) => drop(self.drains.remove(id)),
            Request::Rebalance => self.rebalance = false,
        }
    }
}

fn report(world: &World, node: &Node) -> Report {
    let me = &node.member.id;
    let others = world
        .nodes
        .values()
        .map(|other| &other.member.id)
        .filter(|other| *other != me);
    Report {
        epoch: Epoch(node.epoch),
        synced: world.is_synced(node),
        unreachable: others.filter(|other| !world.reach(me, other)).cloned().collect(),
    }
}

/// All lives of a record.
pub(crate) fn members(record: &RingRecord) -> impl Iterator<Item = (&NodeId, BootId)> {
    let layouts = std::iter::once(&record.layout).chain(&record.previous);
    layouts
        .flat_map(|layout| &layout.members)
        .map(|member| (&member.id, member.boot_id))
}
