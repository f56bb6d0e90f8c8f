//! Lives that end, or seem to.

use api::member::Phase;
use cluster::change::Cause;

use crate::stage::{Stage, id, obey};

#[test]
fn two_failed_probes_and_not_one_are_a_death() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.kill("b");
    assert_eq!(stage.look(1), None);
    let step = stage.look(1).expect("a death");
    assert_eq!(step.cause, Cause::Unreachable(id("b")));
    assert_eq!(
        (stage.phase(), stage.members(), stage.lost()),
        (Phase::Moving, vec!["a", "c"], vec!["b"])
    );
    stage.calm();
    assert_eq!(stage.members(), ["a", "c"]);
}

#[test]
fn a_node_that_restarts_in_place_takes_its_own_place_in_one_change() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    let epoch = stage.record().epoch.0;
    stage.restart("b");
    assert_eq!(stage.look(0), None, "first it is seen whether it answers");
    let step = stage.look(1).expect("a death and a new life");
    assert_eq!(step.cause, Cause::Gone(vec![id("b")]));
    assert_eq!((stage.members(), stage.lost()), (vec!["a", "b", "c"], vec!["b"]));
    stage.calm();
    assert_eq!(stage.record().epoch.0, epoch + 3);
}

#[test]
fn deaths_do_not_wait_for_a_change_and_joins_do() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.restart("d");
    stage.look(1).expect("a join");
    stage.restart("e");
    assert_eq!(stage.look(1), None, "e waits");
    stage.kill("b");
    stage.look(2).expect("a death");
    assert_eq!(
        (stage.phase(), stage.members(), stage.lost()),
        (Phase::Moving, vec!["a", "c", "d"], vec!["b"])
    );
    let before = stage.record().previous.clone().expect("a change");
    let names: Vec<&str> = before.members.iter().map(|member| member.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"], "those who had the keys are read from");
    stage.calm();
    assert_eq!(stage.members(), ["a", "c", "d", "e"]);
}

#[test]
fn a_death_while_settling_waits_until_nobody_reads_from_the_previous_owners() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.restart("d");
    stage.look(1).expect("a join");
    obey(&mut stage.world);
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Synced));
    stage.kill("a");
    stage.look(2).expect("a death");
    assert_eq!((stage.phase(), stage.lost()), (Phase::Settling, vec!["a"]));
    let routing = stage.world.routing().expect("a ring");
    for hash in &stage.world.hashes {
        let plan = routing.plan(*hash);
        assert!(!plan.readers.is_empty(), "the other copy is read from");
        let names = plan
            .readers
            .iter()
            .chain(plan.copies.iter())
            .map(|index| routing.name(*index));
        assert!(names.flatten().all(|name| *name != id("a")), "a is not waited for");
    }
    obey(&mut stage.world);
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Gone(vec![id("a")])));
    assert_eq!(
        (stage.phase(), stage.members(), stage.lost()),
        (Phase::Moving, vec!["b", "c", "d"], vec!["a"])
    );
    assert_eq!(stage.record().previous.as_ref().map(|layout| layout.members.len()), Some(4));
    stage.calm();
    assert_eq!(stage.members(), ["b", "c", "d"]);
}

#[test]
fn a_leaver_that_dies_at_last_is_only_not_waited_for() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.drain("b");
    stage.look(1).expect("a drain");
    obey(&mut stage.world);
    assert_eq!(stage.look(1).map(|step| step.cause), Some(Cause::Synced));
    stage.kill("b");
    stage.look(2).expect("a death");
    assert_eq!(
        (stage.phase(), stage.members(), stage.lost()),
        (Phase::Settling, vec!["a", "c"], vec!["b"])
    );
    stage.calm();
    assert_eq!(stage.members(), ["a", "c"]);
}

#[test]
fn no_single_death_leaves_a_key_without_a_reader() {
    for (count, replicas) in [(2, 2), (3, 2), (5, 2), (4, 3), (5, 4)] {
        let names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (name, lease_ends) in names.iter().flat_map(|name| [(name, false), (name, true)]) {
            let mut stage = Stage::of(&names, replicas);
            stage.kill(name);
            stage.node(name).registered = !lease_ends;
            stage.look(2).expect("a death");
            assert_eq!((stage.phase(), stage.lost()), (Phase::Moving, vec![*name]));
            let routing = stage.world.routing().expect("a ring").clone();
            let places = stage.world.hashes.iter().copied().chain((0..64).map(|n| n << 58));
            for hash in places {
                let readers = routing.plan(hash).readers;
                assert!(
                    !readers.is_empty(),
                    "{count} nodes, {replicas} copies, without {name}: nobody has {hash}"
                );
                assert!(
                    readers
                        .iter()
                        .all(|reader| routing.name(*reader).is_some_and(|reader| reader.as_str() != *name))
                );
            }
        }
    }
}

#[test]
fn the_last_holder_stays_until_it_is_certainly_over() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.kill("a");
    stage.look(2).expect("a death");
    stage.node("b").cut_off = true;
    stage.look_until_quiet();
    assert_eq!(
        (stage.members(), stage.lost()),
        (vec!["b", "c"], vec!["a"]),
        "b may live, and has what a had"
    );
    stage.kill("b");
    stage.node("b").registered = false;
    stage.look(2).expect("its lease is gone");
    assert_eq!((stage.members(), stage.lost()), (vec!["c"], vec!["a", "b"]));
}

#[test]
fn a_leader_that_reaches_nobody_changes_nothing() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    for name in ["a", "b", "c"] {
        stage.node(name).cut_off = true;
    }
    assert_eq!(stage.look(5), None);
    stage.leader.depose();
    assert_eq!(stage.look(0), None, "nor does one that has not looked yet");
}

#[test]
fn a_lease_that_lapsed_is_no_death_while_the_node_answers_and_follows() {
    let mut stage = Stage::of(&["a", "b", "c"], 2);
    stage.node("b").registered = false;
    stage.leader.overdue = true;
    assert_eq!(stage.look(3), None);
    stage.node("b").registered = true;
    stage.leader.rebalance = true;
    stage.look(1).expect("a change");
    stage.node("b").registered = false;
    obey(&mut stage.world);
    assert_eq!(stage.look(1), None, "it may not have heard of the change yet");
    stage.leader.overdue = true;
    assert_eq!(
        stage.look(1).map(|step| step.cause),
        Some(Cause::Gone(vec![id("b")])),
        "it cannot reach the store"
    );
}
