//! Nodes that cannot reach each other.

use cluster::change::Cause;

use crate::stage::{Stage, id, obey};

#[test]
fn one_of_a_pair_that_cannot_reach_each_other_goes_until_it_can() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.cut("a", "b");
    let step = stage.look(1).expect("complaints");
    assert_eq!(
        step.cause,
        Cause::Complaints(id("b")),
        "as many complain of a; the greater name goes"
    );
    stage.calm();
    assert_eq!(stage.members(), ["a", "c"]);
    stage.world.cuts.clear();
    stage.calm();
    assert_eq!(stage.members(), ["a", "b", "c"]);
}

#[test]
fn a_complaint_of_a_node_that_fell_silent_harms_nobody_else() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.cut("a", "b");
    for pair in [("a", "b"), ("b", "a")] {
        stage.leader.complaints.insert((id(pair.0), id(pair.1)), 5);
    }
    assert_eq!(
        stage.look(1),
        None,
        "nobody has answered since it was heard: a may be silent altogether"
    );
    let answered = |stage: &mut Stage, name| stage.leader.health.get_mut(&id(name)).expect("probed").asked = 5;
    answered(&mut stage, "b");
    assert_eq!(stage.look(1), None, "b has, a has not");
    answered(&mut stage, "a");
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Complaints(id("b"))));
}

#[test]
fn who_cannot_reach_half_of_the_others_goes_itself() {
    let mut stage = Stage::of(&["a", "b", "c", "d"], 2);
    stage.cut("a", "c");
    stage.cut("a", "d");
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Complaints(id("a"))));
    stage.calm();
    assert_eq!(stage.members(), ["b", "c", "d"]);
}

#[test]
fn a_master_is_heard_unless_it_is_the_one_cut_off() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.leader.master = [id("a"), id("b")].into();
    assert_eq!(stage.look(2), None, "it reaches one of three");
    stage.leader.master = [id("a")].into();
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Complaints(id("a"))));
    stage.calm();
    assert_eq!(stage.members(), ["b", "c"], "a stays out while the master cannot reach it");
    stage.leader.master.clear();
    stage.calm();
    assert_eq!(stage.members(), ["a", "b", "c"]);
}

#[test]
fn who_does_not_know_the_ring_complains_of_nobody_in_it() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.leader.rebalance = true;
    stage.look(1).expect("a change");
    stage.cut("a", "b");
    assert_eq!(stage.look(1), None, "they may speak of earlier lives");
    obey(&mut stage.world);
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Complaints(id("b"))));
}
