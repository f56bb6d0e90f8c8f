//! A ring with a leader, for tests of one rule each.

use api::NodeId;
use api::member::{Phase, RingRecord};
use cluster::RingPolicy;
use cluster::change::Step;

use crate::leader::Leader;
use crate::world::{KEYS, Node, World};

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) leader: Leader,
}

/// Everybody does what the phases ask for, until the ring rests.
pub(crate) fn calm(world: &mut World, leader: &mut Leader) {
    let mut idle = 0;
    for _ in 0..100 {
        obey(world);
        probe(world, leader);
        idle = if leader.step(world).is_some() { 0 } else { idle + 1 };
        if idle > 3 {
            return;
        }
    }
    panic!("the ring does not come to rest: {:?}", world.record);
}

pub(crate) fn obey(world: &mut World) {
    let ids: Vec<NodeId> = world.nodes.keys().cloned().collect();
    ids.iter().for_each(|id| world.adopt(id));
    for id in &ids {
        (0..KEYS).for_each(|key| world.sync(id, key));
    }
}

fn probe(world: &World, leader: &mut Leader) {
    world.nodes.keys().for_each(|id| leader.probe(world, id));
}

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::try_new(name).expect("valid")
}

impl Stage {
    /// A stable ring of these.
    pub(crate) fn of(names: &[&str], replicas: u32) -> Self {
        let policy = RingPolicy {
            virtual_nodes: 16,
            replicas,
        };
        let (mut world, mut leader) = (World::new(7), Leader::new(policy));
        names.iter().for_each(|name| world.start(name, None));
        calm(&mut world, &mut leader);
        let stage = Self { world, leader };
        assert_eq!((stage.phase(), stage.members()), (Phase::Stable, names.to_vec()));
        stage
    }

    pub(crate) fn calm(&mut self) {
        calm(&mut self.world, &mut self.leader);
    }

    /// All are probed `times`, then one step.
    pub(crate) fn look(&mut self, times: usize) -> Option<Step> {
        (0..times).for_each(|_| probe(&self.world, &mut self.leader));
        self.leader.step(&mut self.world)
    }

    /// Steps until none is called for, without anybody doing anything.
    pub(crate) fn look_until_quiet(&mut self) {
        while self.look(2).is_some() {}
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.world.nodes.get_mut(&id(name)).expect("there")
    }

    pub(crate) fn kill(&mut self, name: &str) {
        self.world.kill(&id(name));
    }

    pub(crate) fn restart(&mut self, name: &str) {
        self.world.start(name, None);
    }

    pub(crate) fn cut(&mut self, one: &str, other: &str) {
        self.world.cuts.insert((id(one.min(other)), id(one.max(other))));
    }

    pub(crate) fn drain(&mut self, name: &str) {
        let boot_id = self.node(name).member.boot_id;
        self.leader.drains.insert(id(name), boot_id);
    }

    pub(crate) fn record(&self) -> &RingRecord {
        self.world.record.as_ref().expect("a ring")
    }

    pub(crate) fn phase(&self) -> Phase {
        self.record().phase
    }

    pub(crate) fn members(&self) -> Vec<&str> {
        self.record().layout.members.iter().map(|member| member.id.as_str()).collect()
    }

    pub(crate) fn lost(&self) -> Vec<&str> {
        let before = self.record().previous.iter().flat_map(|layout| &layout.members);
        before.filter(|member| member.lost).map(|member| member.id.as_str()).collect()
    }
}
