//! Who came and who left: the difference between two moments. Pure.

use std::collections::BTreeMap;

use api::member::Role;
use api::{BootId, NodeId};
use cluster::Snapshot;
use telemetry::audit::{Actor, Entry, Outcome};

/// What of the cluster's state goes into the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Registered lives, with their addresses.
    members: BTreeMap<(Role, NodeId), (BootId, String)>,
    /// Lives of auxiliaries that the keys belong to.
    ring: BTreeMap<NodeId, BootId>,
    leader: Option<NodeId>,
}

impl Seen {
    /// In a snapshot; none while that is not complete.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        let member = |member: &api::member::Member| {
            let life = (member.boot_id, member.address.clone());
            ((member.role, member.id.clone()), life)
        };
        let ring = snapshot.routing().record();
        let in_ring = ring.layout.members.iter().map(|member| (member.id.clone(), member.boot_id));
        snapshot.is_complete().then(|| Self {
            members: snapshot.members().map(member).collect(),
            ring: in_ring.collect(),
            leader: snapshot.leader().map(|leader| leader.node_id.clone()),
        })
    }

    /// Who leads, when known.
    pub(crate) fn leader(&self) -> Option<&NodeId> {
        self.leader.as_ref()
    }

    /// What became different since `before`. Of leaders each tells for itself.
    pub(crate) fn since(&self, before: &Self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (who, (boot_id, address)) in &self.members {
            let event = match before.members.get(who) {
                None => "node.joined",
                Some((other, _)) if other != boot_id => "node.replaced",
                Some(_) => continue,
            };
            entries.push(
                of_node(event, who)
                    .with("address", address)
                    .with("boot_id", boot_id.to_string()),
            );
        }
        for who in before.members.keys().filter(|who| !self.members.contains_key(who)) {
            entries.push(of_node("node.left", who));
        }
        let auxiliary = |id: &NodeId| (Role::Auxiliary, id.clone());
        // Another life under the same name is another holder of keys: it has none yet.
        for (id, boot_id) in before.ring.iter().filter(|(id, life)| self.ring.get(*id) != Some(*life)) {
            entries.push(of_node("ring.left", &auxiliary(id)).with("boot_id", boot_id.to_string()));
        }
        for (id, boot_id) in self.ring.iter().filter(|(id, life)| before.ring.get(*id) != Some(*life)) {
            entries.push(of_node("ring.joined", &auxiliary(id)).with("boot_id", boot_id.to_string()));
        }
        entries
    }
}

fn of_node(event: &'static str, (role, id): &(Role, NodeId)) -> Entry {
    let entry = Entry::new(event, Actor::node(id.to_string()), Outcome::Observed);
    entry.on(id.to_string()).with("role", role.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NodeId {
        NodeId::try_new(name).unwrap()
    }

    fn seen(members: &[(&str, BootId)], ring: &[(&str, BootId)]) -> Seen {
        let member = |(name, boot): &(&str, BootId)| ((Role::Auxiliary, id(name)), (*boot, "a:1".to_owned()));
        Seen {
            members: members.iter().map(member).collect(),
            ring: ring.iter().map(|(name, boot)| (id(name), *boot)).collect(),
            leader: None,
        }
    }

    #[test]
    fn whatever_changed_is_told_once() {
        let [one, two, three] = std::array::from_fn(|_| BootId::new_random());
        let before = seen(&[("a", one), ("b", two)], &[("a", one), ("b", two)]);
        let after = seen(&[("b", three), ("c", one)], &[("b", three), ("c", one)]);
        let told = |before: &Seen, after: &Seen| -> Vec<String> {
            let entries = after.since(before).into_iter();
            entries
                .map(|entry| format!("{} {}", entry.event, entry.target.unwrap()))
                .collect()
        };
        assert_eq!(told(&before, &before), Vec::<String>::new());
        let all = [
            "node.replaced b",
            "node.joined c",
            "node.left a",
            "ring.left a",
            "ring.left b",
            "ring.joined b",
            "ring.joined c",
        ];
        assert_eq!(told(&before, &after), all);
    }
}
