//! Who answers for a key, by the phase of the ring.

mod support;

use std::collections::BTreeMap;

use api::member::{Layout, Member, Phase, RingMember, RingRecord};
use api::{BootId, Epoch, NodeId};
use cluster::{Duty, NodeIndex, Routing, Source};
use support::auxiliary;

struct Nodes(BTreeMap<NodeId, Member>);

impl Nodes {
    fn of(names: &[&str]) -> Self {
        let members = names.iter().map(|name| auxiliary(name, &format!("{name}:3001")));
        Self(members.map(|member| (member.id.clone(), member)).collect())
    }

    /// A layout of those; a name with `!` is lost.
    fn layout(&self, names: &[&str]) -> Layout {
        let member = |name: &&str| {
            let member = &self.0[&support::node(name.trim_end_matches('!'))];
            RingMember {
                id: member.id.clone(),
                boot_id: member.boot_id,
                weight: 1,
                zone: None,
                lost: name.ends_with('!'),
            }
        };
        Layout {
            virtual_nodes: 32,
            replicas: 2,
            members: names.iter().map(member).collect(),
        }
    }

    fn routing(&self, phase: Phase, layout: &[&str], previous: Option<&[&str]>) -> Routing {
        let record = RingRecord {
            epoch: Epoch(9),
            phase,
            layout: self.layout(layout),
            previous: previous.map(|names| self.layout(names)),
        };
        Routing::new(&record, &self.0)
    }
}

fn places() -> impl Iterator<Item = u64> {
    (0..500).map(|n| hash_ring::hash_key("", &n.to_string()))
}

fn names<'a>(routing: &'a Routing, nodes: &[NodeIndex]) -> Vec<&'a str> {
    let names = nodes.iter().filter_map(|node| routing.name(*node));
    names.map(NodeId::as_str).collect()
}

/// The owners in a stable ring of those.
fn owners(nodes: &Nodes, members: &[&str], hash: u64) -> Vec<String> {
    let routing = nodes.routing(Phase::Stable, members, None);
    let plan = routing.plan(hash);
    names(&routing, &plan.readers).into_iter().map(str::to_owned).collect()
}

#[test]
fn in_a_stable_ring_the_owners_are_read_from_and_written_to() {
    let nodes = Nodes::of(&["a", "b", "c"]);
    let routing = nodes.routing(Phase::Stable, &["a", "b", "c"], None);
    for hash in places() {
        let plan = routing.plan(hash);
        assert_eq!((plan.readers.len(), plan.copies.len()), (2, 1));
        assert_eq!(plan.readers[1], plan.copies[0]);
        let duties: Vec<Option<Duty>> = routing.nodes().map(|node| routing.duty(node, hash)).collect();
        assert_eq!(duties.iter().filter(|duty| **duty == Some(Duty::Primary)).count(), 1);
        assert_eq!(duties.iter().filter(|duty| duty.is_none()).count(), 1);
        assert!(routing.nodes().all(|node| routing.source(node, hash) == Source::Here));
    }
}

#[test]
fn while_moving_the_previous_owners_are_read_from_and_all_are_written_to() {
    let nodes = Nodes::of(&["a", "b", "c", "d"]);
    let routing = nodes.routing(Phase::Moving, &["a", "c", "d"], Some(&["a", "b!", "c"]));
    for hash in places() {
        let plan = routing.plan(hash);
        let mut readers = owners(&nodes, &["a", "b", "c"], hash);
        readers.retain(|name| name != "b");
        assert_eq!(names(&routing, &plan.readers), readers);
        let new = owners(&nodes, &["a", "c", "d"], hash);
        let mut written: Vec<&str> = names(&routing, &plan.copies);
        written.extend(readers.first().map(String::as_str));
        assert!(
            new.iter().chain(&readers).all(|name| written.contains(&name.as_str())),
            "{written:?}"
        );
        assert!(
            written
                .iter()
                .all(|name| new.iter().chain(&readers).any(|other| other == name)),
            "{written:?}"
        );
        for node in routing.nodes() {
            let is = routing.name(node).expect("named").as_str();
            let source = match (new.iter().any(|name| name == is), plan.primary()) {
                (true, Some(primary)) if primary != node => Source::Primary(primary),
                _ => Source::Here,
            };
            assert_eq!(routing.source(node, hash), source);
        }
    }
}

#[test]
fn while_settling_the_new_owners_are_read_from_and_all_are_written_to() {
    let nodes = Nodes::of(&["a", "b", "c"]);
    let routing = nodes.routing(Phase::Settling, &["a", "b!", "c"], Some(&["a", "b!"]));
    for hash in places() {
        let plan = routing.plan(hash);
        let mut readers = owners(&nodes, &["a", "b", "c"], hash);
        readers.retain(|name| name != "b");
        assert_eq!(names(&routing, &plan.readers), readers);
        let mut all = names(&routing, &plan.copies);
        all.extend(readers.first().map(String::as_str));
        assert!(
            all.contains(&"a") && !all.contains(&"b"),
            "the previous owner that lives has every write: {all:?}"
        );
    }
}

#[test]
fn a_key_without_holders_is_put_together_from_what_everybody_has() {
    let nodes = Nodes::of(&["a", "b", "c"]);
    let routing = nodes.routing(Phase::Moving, &["a", "b", "c"], Some(&["a!", "b!", "c!"]));
    for hash in places() {
        let plan = routing.plan(hash);
        assert_eq!((plan.primary(), plan.copies.len()), (None, 2), "nobody answers for it");
        let sources: Vec<Source> = routing.nodes().map(|node| routing.source(node, hash)).collect();
        assert_eq!(
            sources.iter().filter(|source| **source == Source::Everybody).count(),
            2,
            "its owners"
        );
    }
}

#[test]
fn a_life_that_is_over_is_not_called() {
    let mut nodes = Nodes::of(&["a", "b"]);
    let stable = nodes.routing(Phase::Stable, &["a", "b"], None).record().clone();
    let old = nodes.0[&support::node("b")].boot_id;
    nodes.0.get_mut(&support::node("b")).expect("there").boot_id = BootId::new_random();
    let routing = Routing::new(&stable, &nodes.0);
    let b = routing.index_of(&support::node("b"), old).expect("in the ring");
    assert_eq!(routing.node(b), None);
    assert_eq!(routing.name(b), Some(&support::node("b")));
    let a = routing.members().find(|node| *node != b).expect("a");
    assert_eq!(routing.node(a).map(|owner| owner.address.as_str()), Some("a:3001"));
}
