use api::member::{Layout, Phase, RingMember};
use api::{BootId, Epoch};

use super::*;

fn entry(key: &str, value: &impl serde::Serialize, revision: Revision) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: serde_json::to_vec(value).unwrap().into(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: None,
    }
}

fn auxiliary(name: &str, address: &str) -> Member {
    Member {
        id: NodeId::try_new(name).unwrap(),
        role: Role::Auxiliary,
        boot_id: BootId::new_random(),
        address: address.to_owned(),
        public_address: None,
        zone: None,
        weight: 1,
        started_at_ms: 0,
        version: String::new(),
    }
}

fn ring(epoch: u64, members: &[&Member]) -> RingRecord {
    RingRecord {
        epoch: Epoch(epoch),
        layout: Layout {
            virtual_nodes: 16,
            replicas: 1,
            members: members.iter().copied().map(ring_member).collect(),
        },
        ..RingRecord::default()
    }
}

fn ring_member(member: &Member) -> RingMember {
    RingMember {
        id: member.id.clone(),
        boot_id: member.boot_id,
        weight: member.weight,
        zone: member.zone.clone(),
        lost: false,
    }
}

#[test]
fn nothing_is_complete_before_everything_was_listed() {
    let mut state = State::default();
    state.members(Update::Listed(vec![], 0));
    state.ring(Update::Listed(vec![], 0));
    assert!(!state.snapshot().is_complete());
    state.leader(Update::Listed(vec![], 0));
    assert!(state.snapshot().is_complete());
    assert_eq!(state.snapshot().routing().owner("", "k"), None);
}

#[test]
fn an_owner_whose_lease_lapsed_is_called_where_it_was() {
    let mut state = State::default();
    let (a, b) = (auxiliary("a", "h:1"), auxiliary("b", "h:2"));
    state.members(Update::Listed(vec![entry("members/auxiliary/a", &a, 2)], 2));
    state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &[&a]), 3)], 3));
    state.members(Update::Changed(vec![Event::Delete {
        key: "members/auxiliary/a".to_owned(),
        revision: 4,
    }]));
    let snapshot = state.snapshot();
    assert_eq!(snapshot.members().count(), 0);
    assert_eq!(snapshot.routing().owner("", "k").unwrap().address, "h:1");
    let moving = RingRecord {
        phase: Phase::Moving,
        previous: Some(ring(1, &[&a]).layout),
        ..ring(2, &[&b])
    };
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &moving, 5))]));
    let snapshot = state.snapshot();
    let routing = snapshot.routing();
    assert!(
        routing
            .nodes()
            .any(|node| routing.node(node).is_some_and(|owner| owner.id == a.id))
    );
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(4, &[&b]), 6))]));
    assert_eq!(state.snapshot().routing().owner("", "k"), None, "nobody knows where b is");
    assert!(state.last_known.is_empty(), "a is forgotten once it is out of the ring");
}

#[test]
fn an_owner_that_restarted_is_called_once_its_new_life_is_in_the_ring() {
    let mut state = State::default();
    let (born, reborn) = (auxiliary("a", "h:1"), auxiliary("a", "h:2"));
    state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &[&born]), 1)], 1));
    state.members(Update::Listed(vec![entry("members/auxiliary/a", &born, 2)], 2));
    assert_eq!(state.snapshot().routing().owner("", "k").unwrap().address, "h:1");
    state.members(Update::Changed(vec![Event::Put(entry("members/auxiliary/a", &reborn, 3))]));
    assert_eq!(state.snapshot().routing().owner("", "k"), None, "what it held is gone");
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(2, &[&reborn]), 4))]));
    assert_eq!(state.snapshot().routing().owner("", "k").unwrap().boot_id, reborn.boot_id);
}

#[test]
fn a_ring_stays_when_the_store_has_lost_its_data_until_there_is_another() {
    let mut state = State::default();
    let (a, b) = (auxiliary("a", "h:1"), auxiliary("b", "h:2"));
    state.ring(Update::Listed(vec![], 1));
    assert_eq!(state.snapshot().epoch(), Epoch(0), "there was none");
    state.members(Update::Listed(vec![entry("members/auxiliary/a", &a, 2)], 2));
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(5, &[&a]), 50))]));
    state.members(Update::Listed(vec![], 1));
    state.ring(Update::Listed(vec![], 1));
    assert_eq!(state.snapshot().epoch(), Epoch(5));
    assert_eq!(
        state.snapshot().routing().owner("", "k").unwrap().address,
        "h:1",
        "it goes on"
    );
    state.members(Update::Changed(vec![Event::Put(entry("members/auxiliary/b", &b, 2))]));
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(6, &[&b]), 3))]));
    assert_eq!(state.snapshot().epoch(), Epoch(6));
}

#[test]
fn an_older_ring_never_replaces_a_newer_one() {
    let mut state = State::default();
    let a = auxiliary("a", "h:1");
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(5, &[&a]), 50))]));
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(4, &[&a]), 40))]));
    assert_eq!(state.snapshot().epoch(), Epoch(5));
    state.record_read(Some(&entry(keys::RING, &ring(6, &[&a]), 60)));
    assert_eq!(state.snapshot().epoch(), Epoch(6));
    assert_eq!(state.snapshot().heard(), 50, "what was asked for is not what was heard");
}

#[test]
fn requests_are_followed_with_the_ring() {
    let mut state = State::default();
    let a = auxiliary("a", "h:1");
    let drain = Drain { boot_id: a.boot_id };
    state.ring(Update::Listed(vec![entry(&keys::drain(&a.id), &drain, 1)], 3));
    state.ring(Update::Changed(vec![Event::Put(entry(keys::REBALANCE, &"now", 4))]));
    let snapshot = state.snapshot();
    assert_eq!((snapshot.drains().get(&a.id), snapshot.rebalance()), (Some(&a.boot_id), true));
    assert_eq!(snapshot.heard(), 4);
    let delete = |key: String| Event::Delete { key, revision: 5 };
    state.ring(Update::Changed(vec![
        delete(keys::drain(&a.id)),
        delete(keys::REBALANCE.to_owned()),
    ]));
    let snapshot = state.snapshot();
    assert!(snapshot.drains().is_empty() && !snapshot.rebalance());
}

#[test]
fn a_record_that_cannot_be_read_is_ignored() {
    let mut state = State::default();
    let a = auxiliary("a", "h:1");
    state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &[&a]), 1)], 1));
    state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &"nonsense", 2))]));
    assert_eq!(state.snapshot().epoch(), Epoch(1));
    state.members(Update::Listed(vec![entry("members/auxiliary/a", &7, 2)], 2));
    assert_eq!(state.snapshot().members().count(), 0);
}
