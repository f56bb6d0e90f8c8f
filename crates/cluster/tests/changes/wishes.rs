//! Joins, drains, and what operators ask for.

use api::member::Phase;
use cluster::RingPolicy;
use cluster::change::{Cause, KeepReason, may_drain};

use crate::leader::Leader;
use crate::stage::{Stage, id, obey};
use crate::world::{KEYS, World};

#[test]
fn those_that_start_together_come_in_together_and_only_once_they_answer() {
    let policy = RingPolicy {
        virtual_nodes: 16,
        replicas: 2,
    };
    let (mut world, leader) = (World::new(1), Leader::new(policy));
    ["a", "b", "c"].iter().for_each(|name| world.start(name, None));
    let mut stage = Stage { world, leader };
    assert_eq!(stage.look(0), None, "nobody was probed");
    stage.leader.probe(&stage.world, &id("a"));
    assert_eq!(stage.look(0), None, "b and c were not");
    stage.node("c").cut_off = true;
    let step = stage.look(1).expect("a first ring");
    assert_eq!(step.cause, Cause::First);
    assert_eq!((stage.phase(), stage.members()), (Phase::Moving, vec!["a", "b"]));
    let holders: usize = stage
        .world
        .hashes
        .iter()
        .map(|hash| stage.world.routing().map_or(9, |ring| ring.plan(*hash).readers.len()))
        .sum();
    assert_eq!(holders, 0, "nobody is read from before what backups have was put together");
}

#[test]
fn a_phase_ends_when_everybody_did_what_it_asks_for() {
    let mut stage = Stage::of(&["a", "b"], 2);
    stage.restart("c");
    assert!(matches!(stage.look(1).map(|step| step.cause), Some(Cause::Wanted { .. })));
    assert_eq!(stage.look(1), None, "nobody serves the epoch");
    ["a", "b", "c"].iter().for_each(|name| stage.world.adopt(&id(name)));
    assert_eq!(stage.look(1), None, "nobody is synced");
    for name in ["a", "b"] {
        (0..KEYS).for_each(|key| stage.world.sync(&id(name), key));
    }
    assert_eq!(stage.look(1), None, "c is not");
    (0..KEYS).for_each(|key| stage.world.sync(&id("c"), key));
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Synced));
    assert_eq!(stage.look(1), None, "nobody serves that epoch");
    ["a", "b", "c"].iter().for_each(|name| stage.world.adopt(&id(name)));
    assert_eq!(stage.look(1), None, "they may have to hand over what they applied before");
    obey(&mut stage.world);
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Settled));
    assert_eq!((stage.phase(), stage.members()), (Phase::Stable, vec!["a", "b", "c"]));
    assert_eq!(stage.look(2), None);
}

#[test]
fn a_drained_life_stays_out_and_the_next_one_comes_in() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.drain("b");
    stage.look(1).expect("a drain");
    assert!(stage.lost().is_empty(), "it holds what it has until it is moved");
    stage.calm();
    assert_eq!(stage.members(), ["a", "c"]);
    assert!(stage.leader.drains.contains_key(&id("b")), "and is remembered");
    stage.restart("b");
    stage.calm();
    assert_eq!(stage.members(), ["a", "b", "c"]);
    assert!(stage.leader.drains.is_empty());
}

#[test]
fn a_node_that_is_needed_is_not_drained() {
    let mut stage = Stage::of(&["a", "b"], 2);
    let refused = Err(KeepReason::TooFew { left: 1, replicas: 2 });
    assert_eq!(may_drain(stage.record(), &id("a")), refused);
    assert_eq!(may_drain(stage.record(), &id("x")), Err(KeepReason::NotInRing));
    stage.drain("a");
    assert_eq!(stage.look(1), None);
    assert!(stage.leader.drains.is_empty(), "the request is dismissed");
    stage.restart("c");
    stage.calm();
    assert_eq!(may_drain(stage.record(), &id("a")), Ok(()));
    stage.drain("a");
    stage.drain("b");
    stage.calm();
    assert_eq!(stage.members(), ["b", "c"], "one of two");
    assert_eq!(stage.leader.drains.len(), 1);
}

#[test]
fn a_rebalance_is_a_change_to_the_same_and_answered_once() {
    let mut stage = Stage::of(&["a", "b"], 2);
    let before = stage.record().clone();
    stage.leader.rebalance = true;
    stage.look(1).expect("a change");
    assert_eq!(stage.record().previous.as_ref(), Some(&before.layout));
    stage.calm();
    assert_eq!(
        (stage.record().epoch.0, &stage.record().layout),
        (before.epoch.0 + 3, &before.layout)
    );
    assert!(!stage.leader.rebalance);
}

#[test]
fn a_change_of_settings_or_weight_is_a_change_of_the_ring() {
    let mut stage = Stage::of(&["a", "b"], 2);
    stage.leader.policy.virtual_nodes = 32;
    stage.node("a").member.weight = 2;
    stage.look(1).expect("a change");
    let before = stage.record().previous.clone().expect("a change");
    assert_eq!((before.virtual_nodes, before.members[0].weight), (16, 1));
    let after = &stage.record().layout;
    assert_eq!((after.virtual_nodes, after.members[0].weight), (32, 2));
    stage.calm();
}
