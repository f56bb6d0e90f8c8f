//! Random sequences of events. A seed that fails is printed; `SEED=n` runs it alone.

use std::env;

use api::NodeId;
use api::member::Phase;
use cluster::RingPolicy;

use crate::invariants;
use crate::leader::Leader;
use crate::world::{KEYS, Node, World};

const SEEDS: u64 = 300;
const EVENTS: usize = 800;

struct Run {
    world: World,
    leader: Leader,
    zones: bool,
    /// Every so many faults come about.
    mercy: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let policy = RingPolicy {
            virtual_nodes: 8,
            replicas: if seed.is_multiple_of(5) {
                1
            } else {
                2 + u32::from(seed.is_multiple_of(7))
            },
        };
        let zones = seed.is_multiple_of(4);
        let leader = Leader::new(policy);
        for n in 0..world.rng.usize(1..6) {
            world.start(&format!("n{n}"), zones.then(|| format!("z{}", n % 2)));
        }
        let mercy = [1, 2, 6][usize::try_from(seed % 3).expect("small")];
        Self {
            world,
            leader,
            zones,
            mercy,
        }
    }

    /// A process: mostly one that is in the state asked for.
    fn node(&mut self) -> NodeId {
        let ids: Vec<NodeId> = self.world.nodes.keys().cloned().collect();
        ids[self.world.rng.usize(..ids.len())].clone()
    }

    /// One event: mostly work, at times a fault, a repair or a wish.
    fn event(&mut self) {
        let id = self.node();
        match self.world.rng.u32(..1000) {
            940.. if self.world.rng.u32(..self.mercy) > 0 => self.write(),
            0..250 => self.write(),
            250..450 => self.world.adopt(&id),
            450..700 => self.sync(&id),
            700..940 => self.lead(),
            940..948 => self.world.kill(&id),
            948..962 => self.restart(&id),
            962..968 => self.change(&id, |node| node.cut_off ^= true),
            968..976 => self.change(&id, |node| node.registered = node.alive && !node.registered),
            976..980 => self.cut(id),
            980..984 => self.world.cuts.clear(),
            984..987 => drop(self.leader.drains.insert(id.clone(), self.world.nodes[&id].member.boot_id)),
            987..990 => self.leader.rebalance = true,
            990..992 => self.leader.depose(),
            992..994 => self.leader.patience_over ^= true,
            994..995 => self.leader.overdue = true,
            995..997 => self.complain(id),
            997..998 => self.change(&id, |node| node.member.weight = 3 - node.member.weight),
            998..999 => self.leader.policy.virtual_nodes = 20 - self.leader.policy.virtual_nodes,
            _ if self.world.nodes.len() < 6 => {
                let n = self.world.nodes.len();
                self.world.start(&format!("n{n}"), self.zones.then(|| format!("z{}", n % 2)));
            }
            _ => {}
        }
        invariants::give_up_what_died(&mut self.world);
        invariants::readers_hold_what_was_acknowledged(&self.world);
    }

    fn write(&mut self) {
        let key = self.world.rng.usize(..KEYS);
        let newest = self.world.record.as_ref().map_or(0, |record| record.epoch.0);
        let age = self.world.rng.u64(..3);
        self.world.write(key, newest.saturating_sub(age));
    }

    /// A node compares some of what it still must, or all.
    fn sync(&mut self, id: &NodeId) {
        let mut keys = self.world.to_compare(id);
        self.world.rng.shuffle(&mut keys);
        keys.truncate(self.world.rng.usize(1..=2 * KEYS));
        keys.into_iter().for_each(|key| self.world.sync(id, key));
    }

    fn lead(&mut self) {
        for id in self.world.nodes.keys().cloned().collect::<Vec<_>>() {
            if self.world.rng.u8(..) < 200 {
                self.leader.probe(&self.world, &id);
            }
        }
        self.leader.step(&mut self.world);
    }

    fn restart(&mut self, id: &NodeId) {
        let node = &self.world.nodes[id];
        if !node.alive {
            let zone = node.member.zone.clone();
            self.world.start(id.as_str(), zone);
        }
    }

    fn change(&mut self, id: &NodeId, change: impl FnOnce(&mut Node)) {
        change(self.world.nodes.get_mut(id).expect("one of them"));
    }

    fn cut(&mut self, id: NodeId) {
        let other = self.node();
        if id != other {
            self.world.cuts.insert((id.clone().min(other.clone()), id.max(other)));
        }
    }

    fn complain(&mut self, id: NodeId) {
        if !self.leader.master.remove(&id) {
            self.leader.master.insert(id);
        }
    }

    /// Nothing happens any more: all who live do what the phases ask for, and the leases of all others end.
    fn calm_down(&mut self) {
        self.world.cuts.clear();
        self.leader.master.clear();
        if !self.world.nodes.values().any(|node| node.alive && !self.is_drained(node)) {
            self.world.start("last", None);
        }
        for node in self.world.nodes.values_mut() {
            node.cut_off = false;
            node.registered = node.alive;
        }
        let ids: Vec<NodeId> = self.world.nodes.keys().cloned().collect();
        let mut idle = 0;
        for round in 0..200 {
            self.leader.patience_over = round > 20;
            for id in &ids {
                self.world.adopt(id);
            }
            for id in &ids {
                (0..KEYS).for_each(|key| self.world.sync(id, key));
            }
            for id in &ids {
                self.leader.probe(&self.world, id);
            }
            idle = if self.leader.step(&mut self.world).is_some() {
                0
            } else {
                idle + 1
            };
            invariants::give_up_what_died(&mut self.world);
            invariants::readers_hold_what_was_acknowledged(&self.world);
            if idle > 30 {
                break;
            }
        }
        assert!(idle > 30, "the ring goes on changing");
    }

    fn is_drained(&self, node: &Node) -> bool {
        self.leader.drains.get(&node.member.id) == Some(&node.member.boot_id)
    }

    fn check_the_end(&self) {
        let record = self.world.record.as_ref().expect("a ring");
        assert_eq!(record.phase, Phase::Stable, "{record:?}, {:?}", self.leader.see(&self.world));
        let members: Vec<&NodeId> = record.layout.members.iter().map(|member| &member.id).collect();
        let living = self.world.nodes.values().filter(|node| node.alive);
        let wanted: Vec<&NodeId> = living
            .filter(|node| !self.is_drained(node))
            .map(|node| &node.member.id)
            .collect();
        assert_eq!(members, wanted, "{record:?}");
        assert!(!self.leader.rebalance);
    }
}

#[test]
fn no_acknowledged_write_is_lost_and_the_ring_comes_to_rest() {
    let seeds = match env::var("SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..SEEDS,
    };
    let (mut kept, mut changes) = (0, 0);
    for seed in seeds {
        let ran = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..EVENTS {
                run.event();
            }
            run.calm_down();
            run.check_the_end();
            let kept = run.world.acknowledged.iter().flatten().count();
            (kept, run.world.rings.len())
        });
        match ran {
            Ok((keys, rings)) => (kept, changes) = (kept + keys, changes + rings),
            Err(panic) => {
                eprintln!("SEED={seed} fails");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{changes} records, {kept} keys kept");
    assert!(kept > 0 && changes > 0, "a run in which nothing happens shows nothing");
}
