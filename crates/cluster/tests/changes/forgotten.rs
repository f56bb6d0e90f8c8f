//! A control store that has lost its data.

use api::Epoch;
use api::member::{Phase, RingRecord};
use cluster::RingPolicy;
use cluster::change::{Cause, Seen, Step, next};

use crate::stage::{Stage, id};

const POLICY: RingPolicy = RingPolicy {
    virtual_nodes: 16,
    replicas: 2,
};

/// A stable ring, and what its leader sees.
fn ring() -> (RingRecord, Seen) {
    let stage = Stage::of(&["a", "b", "c"], 2);
    let record = stage.world.record.clone().expect("a ring");
    assert_eq!(record.phase, Phase::Stable);
    let seen = stage.leader.see(&stage.world);
    (record, seen)
}

fn step(seen: &Seen) -> Step {
    next(None, seen, POLICY).expect("a step")
}

#[test]
fn the_ring_goes_on_as_it_was_whoever_has_registered_again() {
    let (record, mut seen) = ring();
    for gone in [None, Some("a"), Some("b"), Some("c")] {
        gone.map(|name| seen.registered.remove(&id(name)));
        let again = step(&seen);
        let expected = RingRecord {
            epoch: Epoch(record.epoch.0 + 1),
            ..record.clone()
        };
        assert_eq!((again.cause, again.record), (Cause::Forgotten, expected), "{gone:?}");
    }
}

#[test]
fn nothing_is_written_before_all_of_the_last_ring_were_asked() {
    let (_, mut seen) = ring();
    seen.registered.clear();
    seen.health.get_mut(&id("b")).expect("probed").probed = false;
    assert_eq!(next(None, &seen, POLICY), None);
}

#[test]
fn a_leader_whose_memory_is_old_begins_anew_above_all_epochs() {
    let (record, mut seen) = ring();
    let newer = Epoch(record.epoch.0 + 2);
    let of_b = seen.health.get_mut(&id("b")).and_then(|health| health.report.as_mut());
    of_b.expect("a report").epoch = newer;
    let first = step(&seen);
    assert_eq!((first.cause, first.record.epoch), (Cause::First, Epoch(newer.0 + 1)));
    assert_eq!(first.record.phase, Phase::Moving);
    assert_eq!(
        first.record.previous.map(|layout| layout.members),
        Some(Vec::new()),
        "all compare what they hold"
    );
}

#[test]
fn a_leader_that_remembers_nothing_begins_above_all_epochs_too() {
    let (record, mut seen) = ring();
    seen.known = RingRecord::default();
    let first = step(&seen);
    assert_eq!((first.cause, first.record.epoch), (Cause::First, Epoch(record.epoch.0 + 1)));
    // Old reports are of older epochs: nobody counts as synced.
    assert_eq!(next(Some(&first.record), &seen, POLICY), None);
}
