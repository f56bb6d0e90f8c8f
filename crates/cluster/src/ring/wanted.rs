//! Who should be in the ring: a pure function of who is registered, who answers, and who is in it.

use std::collections::BTreeMap;

use api::NodeId;
use api::member::{Member, RingMember, RingRecord};
use api::{BootId, Epoch};

/// What the ring should look like, apart from its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Virtual nodes per unit of weight.
    pub virtual_nodes: u32,
    /// Copies of each entry.
    pub replicas: u32,
}

/// Probes in a row that must fail before a node leaves the ring: one lost packet must not move a third of all keys.
const FAILURES_UNTIL_OUT: u32 = 2;

/// How the probes of one node ended lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Health {
    /// The life that was probed; a new one begins with a clean record.
    boot_id: BootId,
    /// Failures since the last success.
    failures: u32,
    /// Whether it ever answered.
    answered: bool,
}

/// How the probes of all nodes ended lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Probes(BTreeMap<NodeId, Health>);

impl Probes {
    /// Takes note of one probe.
    pub(crate) fn record(&mut self, node: &NodeId, boot_id: BootId, answered: bool) {
        let fresh = Health {
            boot_id,
            failures: 0,
            answered: false,
        };
        let health = self.0.entry(node.clone()).or_insert(fresh);
        if health.boot_id != boot_id {
            *health = fresh;
        }
        if answered {
            health.answered = true;
            health.failures = 0;
        } else {
            health.failures = health.failures.saturating_add(1);
        }
    }

    /// Forgets nodes that are not registered any more.
    pub(crate) fn retain(&mut self, registered: &BTreeMap<NodeId, Member>) {
        self.0.retain(|node, _| registered.contains_key(node));
    }

    /// Whether this life of a node was ever probed.
    pub(crate) fn knows(&self, member: &Member) -> bool {
        self.of(member).is_some()
    }

    /// Whether a node may come in: it answered the last probe.
    fn answers(&self, member: &Member) -> bool {
        self.of(member).is_some_and(|health| health.answered && health.failures == 0)
    }

    /// Whether a node must go: it failed too often in a row.
    fn is_lost(&self, member: &Member) -> bool {
        self.of(member).is_some_and(|health| health.failures >= FAILURES_UNTIL_OUT)
    }

    fn of(&self, member: &Member) -> Option<&Health> {
        self.0.get(&member.id).filter(|health| health.boot_id == member.boot_id)
    }
}

/// The record that should follow `current`, or none when it is right as it is.
///
/// A registered node comes in once it answers, and goes when it is unreachable or its lease has ended; but the last ones
/// stay, however they are: a ring of unreachable nodes fails as an empty one does, and is right at once when they answer.
pub(crate) fn wanted(
    current: Option<&RingRecord>,
    registered: &BTreeMap<NodeId, Member>,
    probes: &Probes,
    policy: Policy,
) -> Option<RingRecord> {
    let empty = RingRecord::default();
    let current = current.unwrap_or(&empty);
    let is_in = |member: &Member| current.members.iter().any(|held| held.id == member.id);
    let mut members: Vec<RingMember> = registered
        .values()
        .filter(|member| {
            if is_in(member) {
                !probes.is_lost(member)
            } else {
                probes.answers(member)
            }
        })
        .map(ring_member)
        .collect();
    if members.is_empty() {
        members = registered.values().filter(|member| is_in(member)).map(ring_member).collect();
    }
    if members.is_empty() {
        members.clone_from(&current.members);
    }
    let Policy { virtual_nodes, replicas } = policy;
    let next = RingRecord {
        epoch: Epoch(current.epoch.0 + 1),
        virtual_nodes,
        replicas,
        members,
    };
    let same = RingRecord {
        epoch: current.epoch,
        ..next.clone()
    } == *current;
    (!same && !next.members.is_empty()).then_some(next)
}

fn ring_member(member: &Member) -> RingMember {
    RingMember {
        id: member.id.clone(),
        weight: member.weight,
        zone: member.zone.clone(),
    }
}

#[cfg(test)]
mod tests {
    use api::member::Role;

    use super::*;

    const POLICY: Policy = Policy {
        virtual_nodes: 256,
        replicas: 1,
    };

    fn registered(names: &[&str]) -> BTreeMap<NodeId, Member> {
        names
            .iter()
            .map(|name| {
                let id = NodeId::try_new(*name).unwrap();
                let member = Member {
                    id: id.clone(),
                    role: Role::Auxiliary,
                    boot_id: BootId::new_random(),
                    address: format!("{name}:3001"),
                    public_address: None,
                    zone: None,
                    weight: 1,
                    started_at_ms: 0,
                    version: String::new(),
                };
                (id, member)
            })
            .collect()
    }

    fn probe(probes: &mut Probes, registered: &BTreeMap<NodeId, Member>, name: &str, answered: bool) {
        let member = &registered[&NodeId::try_new(name).unwrap()];
        probes.record(&member.id, member.boot_id, answered);
    }

    fn names(record: &Option<RingRecord>) -> Vec<&str> {
        record
            .iter()
            .flat_map(|record| record.members.iter().map(|member| member.id.as_str()))
            .collect()
    }

    /// A ring of a, b and c, all of which answered.
    fn settled() -> (BTreeMap<NodeId, Member>, Probes, RingRecord) {
        let (registered, mut probes) = (registered(&["a", "b", "c"]), Probes::default());
        for name in ["a", "b", "c"] {
            probe(&mut probes, &registered, name, true);
        }
        let ring = wanted(None, &registered, &probes, POLICY).unwrap();
        (registered, probes, ring)
    }

    #[test]
    fn only_nodes_that_answer_come_in() {
        let (registered, mut probes) = (registered(&["a", "b"]), Probes::default());
        assert_eq!(wanted(None, &registered, &probes, POLICY), None);
        probe(&mut probes, &registered, "a", true);
        probe(&mut probes, &registered, "b", false);
        let first = wanted(None, &registered, &probes, POLICY);
        assert_eq!(names(&first), ["a"]);
        assert_eq!(first.as_ref().unwrap().epoch, Epoch(1));
        probe(&mut probes, &registered, "b", true);
        let second = wanted(first.as_ref(), &registered, &probes, POLICY);
        assert_eq!((names(&second), second.as_ref().unwrap().epoch), (vec!["a", "b"], Epoch(2)));
        assert_eq!(
            wanted(second.as_ref(), &registered, &probes, POLICY),
            None,
            "nothing to change"
        );
    }

    #[test]
    fn one_failed_probe_changes_nothing_and_two_do() {
        let (registered, mut probes, ring) = settled();
        probe(&mut probes, &registered, "b", false);
        assert_eq!(wanted(Some(&ring), &registered, &probes, POLICY), None);
        probe(&mut probes, &registered, "b", false);
        let without = wanted(Some(&ring), &registered, &probes, POLICY);
        assert_eq!(names(&without), ["a", "c"]);
        probe(&mut probes, &registered, "b", true);
        assert_eq!(
            names(&wanted(without.as_ref(), &registered, &probes, POLICY)),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn a_new_leader_that_has_not_probed_yet_changes_nothing() {
        let (registered, _, ring) = settled();
        assert_eq!(wanted(Some(&ring), &registered, &Probes::default(), POLICY), None);
    }

    #[test]
    fn a_node_whose_lease_ended_goes() {
        let (mut registered, probes, ring) = settled();
        registered.remove(&NodeId::try_new("c").unwrap());
        assert_eq!(names(&wanted(Some(&ring), &registered, &probes, POLICY)), ["a", "b"]);
    }

    #[test]
    fn the_last_members_stay_however_they_are() {
        let (mut registered, mut probes, ring) = settled();
        for name in ["a", "b", "c"] {
            probe(&mut probes, &registered, name, false);
            probe(&mut probes, &registered, name, false);
        }
        assert_eq!(wanted(Some(&ring), &registered, &probes, POLICY), None);
        registered.remove(&NodeId::try_new("a").unwrap());
        assert_eq!(names(&wanted(Some(&ring), &registered, &probes, POLICY)), ["b", "c"]);
        registered.clear();
        assert_eq!(wanted(Some(&ring), &registered, &probes, POLICY), None);
    }

    #[test]
    fn a_restarted_node_begins_with_a_clean_record() {
        let (mut registered, mut probes, ring) = settled();
        probe(&mut probes, &registered, "a", false);
        probe(&mut probes, &registered, "a", false);
        let without = wanted(Some(&ring), &registered, &probes, POLICY).unwrap();
        registered.get_mut(&NodeId::try_new("a").unwrap()).unwrap().boot_id = BootId::new_random();
        assert_eq!(
            wanted(Some(&without), &registered, &probes, POLICY),
            None,
            "it has not answered yet"
        );
        probe(&mut probes, &registered, "a", true);
        assert_eq!(names(&wanted(Some(&without), &registered, &probes, POLICY)), ["a", "b", "c"]);
    }

    #[test]
    fn a_change_of_policy_or_weight_is_a_new_epoch() {
        let (mut registered, probes, ring) = settled();
        let denser = Policy {
            virtual_nodes: 512,
            ..POLICY
        };
        assert_eq!(wanted(Some(&ring), &registered, &probes, denser).unwrap().epoch, Epoch(2));
        registered.get_mut(&NodeId::try_new("a").unwrap()).unwrap().weight = 2;
        assert_eq!(
            wanted(Some(&ring), &registered, &probes, POLICY).unwrap().members[0].weight,
            2
        );
    }
}
