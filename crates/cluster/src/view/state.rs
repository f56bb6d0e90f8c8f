//! Turns what the store says into snapshots. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::NodeId;
use api::member::{Member, RingRecord, Role};
use control::{Event, KeyValue, Revision};
use serde::de::DeserializeOwned;
use tracing::error;

use super::snapshot::{Snapshot, VersionedRing};
use crate::follow::Update;
use crate::ring::build;
use crate::{Leader, keys};

#[derive(Debug, Default)]
pub(super) struct State {
    members: Option<BTreeMap<String, Member>>,
    leader: Option<Option<Leader>>,
    ring: Option<Option<(RingRecord, Revision)>>,
    /// Auxiliaries as last registered: one that is in the ring is called at its last address although its lease has lapsed,
    /// for it is the leader who takes it out of the ring, not the lease.
    last_known: BTreeMap<NodeId, Member>,
    /// Built from `ring` and `last_known`; kept while they stay the same.
    built: VersionedRing,
}

impl State {
    pub(super) fn members(&mut self, update: Update) {
        let members = self.members.get_or_insert_default();
        match update {
            Update::Listed(items) => {
                *members = items
                    .iter()
                    .filter_map(|item| Some((item.key.clone(), parse(item)?)))
                    .collect()
            }
            Update::Changed(events) => {
                for event in events {
                    match event {
                        Event::Put(entry) => match parse(&entry) {
                            Some(member) => drop(members.insert(entry.key, member)),
                            None => drop(members.remove(&entry.key)),
                        },
                        Event::Delete { key, .. } => drop(members.remove(&key)),
                    }
                }
            }
        }
        for member in members.values().filter(|member| member.role == Role::Auxiliary) {
            self.last_known.insert(member.id.clone(), member.clone());
        }
        self.rebuild();
    }

    pub(super) fn ring(&mut self, update: Update) {
        let listed = matches!(update, Update::Listed(_));
        let held = self
            .ring
            .as_ref()
            .and_then(|ring| ring.as_ref())
            .map_or(0, |(_, revision)| *revision);
        match newest(update, keys::RING) {
            Some(Some(entry)) if listed || entry.mod_revision > held => {
                // A record that cannot be read is no reason to forget the one that could.
                if let Some(record) = parse(&entry) {
                    self.ring = Some(Some((record, entry.mod_revision)));
                }
            }
            Some(None) => self.ring = Some(None),
            _ => {}
        }
        self.rebuild();
    }

    pub(super) fn leader(&mut self, update: Update) {
        if let Some(entry) = newest(update, keys::LEADER) {
            self.leader = Some(entry.as_ref().and_then(parse));
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let members = self.members.iter().flat_map(BTreeMap::values);
        Snapshot {
            members: members
                .map(|member| ((member.role, member.id.clone()), member.clone()))
                .collect(),
            leader: self.leader.clone().flatten(),
            ring: self.built.clone(),
            complete: self.members.is_some() && self.leader.is_some() && self.ring.is_some(),
        }
    }

    fn rebuild(&mut self) {
        let registered = self.members.iter().flat_map(BTreeMap::values).map(|member| &member.id);
        let in_ring = self
            .ring
            .iter()
            .flatten()
            .flat_map(|(record, _)| &record.members)
            .map(|member| &member.id);
        let wanted: Vec<NodeId> = registered.chain(in_ring).cloned().collect();
        self.last_known.retain(|id, _| wanted.contains(id));
        let built = match self.ring.iter().flatten().next() {
            Some((record, mod_revision)) => VersionedRing {
                routing: Arc::new(build(record, &self.last_known)),
                mod_revision: *mod_revision,
            },
            None => VersionedRing::default(),
        };
        if built != self.built {
            self.built = built;
        }
    }
}

/// The last word on one key: none when nothing was said, then the entry or its absence.
fn newest(update: Update, key: &str) -> Option<Option<KeyValue>> {
    match update {
        Update::Listed(items) => Some(items.into_iter().find(|item| item.key == key)),
        Update::Changed(events) => events
            .into_iter()
            .rev()
            .find(|event| event.key() == key)
            .map(|event| match event {
                Event::Put(entry) => Some(entry),
                Event::Delete { .. } => None,
            }),
    }
}

fn parse<T: DeserializeOwned>(entry: &KeyValue) -> Option<T> {
    serde_json::from_slice(&entry.value)
        .inspect_err(|error| error!(key = entry.key, %error, "a record in the control store cannot be read; ignoring it"))
        .ok()
}

#[cfg(test)]
mod tests {
    use api::member::RingMember;
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

    fn ring(epoch: u64, names: &[&str]) -> RingRecord {
        let member = |name: &&str| RingMember {
            id: NodeId::try_new(*name).unwrap(),
            weight: 1,
            zone: None,
        };
        RingRecord {
            epoch: Epoch(epoch),
            virtual_nodes: 16,
            replicas: 1,
            members: names.iter().map(member).collect(),
        }
    }

    #[test]
    fn nothing_is_complete_before_everything_was_listed() {
        let mut state = State::default();
        state.members(Update::Listed(vec![]));
        state.ring(Update::Listed(vec![]));
        assert!(!state.snapshot().is_complete());
        state.leader(Update::Listed(vec![]));
        assert!(state.snapshot().is_complete());
        assert_eq!(state.snapshot().routing().owner("", "k"), None);
    }

    #[test]
    fn an_owner_whose_lease_lapsed_is_called_where_it_was() {
        let mut state = State::default();
        state.members(Update::Listed(vec![entry("members/auxiliary/a", &auxiliary("a", "h:1"), 2)]));
        state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &["a"]), 3)]));
        state.members(Update::Changed(vec![Event::Delete {
            key: "members/auxiliary/a".to_owned(),
            revision: 4,
        }]));
        let snapshot = state.snapshot();
        assert_eq!(snapshot.members().count(), 0);
        assert_eq!(snapshot.routing().owner("", "k").unwrap().address, "h:1");
        state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(2, &["b"]), 5))]));
        assert_eq!(state.snapshot().routing().owner("", "k"), None, "nobody knows where b is");
        assert!(state.last_known.is_empty(), "a is forgotten once it is out of the ring");
    }

    #[test]
    fn a_restarted_owner_gets_its_new_boot_id() {
        let mut state = State::default();
        state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &["a"]), 1)]));
        state.members(Update::Listed(vec![entry("members/auxiliary/a", &auxiliary("a", "h:1"), 2)]));
        let reborn = auxiliary("a", "h:2");
        state.members(Update::Changed(vec![Event::Put(entry("members/auxiliary/a", &reborn, 3))]));
        assert_eq!(state.snapshot().routing().owner("", "k").unwrap().boot_id, reborn.boot_id);
    }

    #[test]
    fn an_older_ring_never_replaces_a_newer_one() {
        let mut state = State::default();
        state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(5, &["a"]), 50))]));
        state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &ring(4, &["a"]), 40))]));
        assert_eq!(state.snapshot().epoch(), Epoch(5));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_ignored() {
        let mut state = State::default();
        state.ring(Update::Listed(vec![entry(keys::RING, &ring(1, &["a"]), 1)]));
        state.ring(Update::Changed(vec![Event::Put(entry(keys::RING, &"nonsense", 2))]));
        assert_eq!(state.snapshot().epoch(), Epoch(1));
        state.members(Update::Listed(vec![entry("members/auxiliary/a", &7, 2)]));
        assert_eq!(state.snapshot().members().count(), 0);
    }
}
