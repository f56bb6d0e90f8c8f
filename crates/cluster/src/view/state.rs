//! Turns what the store says into snapshots. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::member::{Member, RingRecord, Role};
use api::{BootId, NodeId};
use control::{Event, KeyValue, Revision};
use serde::de::DeserializeOwned;
use tracing::error;

use super::snapshot::{Snapshot, VersionedRing};
use crate::follow::Update;
use crate::{Drain, Leader, Routing, keys};

#[derive(Debug, Default)]
pub(super) struct State {
    members: Option<BTreeMap<String, Member>>,
    leader: Option<Option<Leader>>,
    ring: Option<Option<(RingRecord, Revision)>>,
    /// Lives that were asked to leave the ring.
    drains: BTreeMap<NodeId, BootId>,
    /// Whether everybody was asked to compare what they hold.
    rebalance: bool,
    /// Revision up to which all that concerns the ring has been heard.
    heard: Revision,
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
            Update::Listed(items, _) => {
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

    /// Everything under [`keys::RING`]: the record, and requests about it.
    pub(super) fn ring(&mut self, update: Update) {
        let listed = matches!(update, Update::Listed(..));
        match &update {
            Update::Listed(items, revision) => {
                (self.drains, self.rebalance) = (BTreeMap::new(), false);
                items.iter().for_each(|item| self.request(&item.key, Some(item)));
                self.heard = *revision;
            }
            Update::Changed(events) => {
                for event in events {
                    match event {
                        Event::Put(entry) => self.request(&entry.key, Some(entry)),
                        Event::Delete { key, .. } => self.request(key, None),
                    }
                    self.heard = self.heard.max(event.revision());
                }
            }
        }
        match newest(update, keys::RING) {
            Some(Some(entry)) => self.record(&entry, listed),
            // Nobody removes it: the store has lost its data. What was known stays, until there is a record, which is newer whatever its revision.
            Some(None) => self.ring = Some(self.ring.take().flatten().map(|(record, _)| (record, 0))),
            None => {}
        }
        self.rebuild();
    }

    /// The record alone, from whoever asked the store for it.
    pub(super) fn record_read(&mut self, entry: Option<&KeyValue>) {
        if let Some(entry) = entry {
            self.record(entry, false);
            self.rebuild();
        }
    }

    fn record(&mut self, entry: &KeyValue, listed: bool) {
        let held = self.ring.iter().flatten().map(|(_, revision)| *revision).next();
        if listed || held.is_none_or(|held| entry.mod_revision > held) {
            // A record that cannot be read is no reason to forget the one that could.
            if let Some(record) = parse(entry) {
                self.ring = Some(Some((record, entry.mod_revision)));
            }
        }
    }

    fn request(&mut self, key: &str, entry: Option<&KeyValue>) {
        if key == keys::REBALANCE {
            self.rebalance = entry.is_some();
        }
        let Some(id) = key.strip_prefix(keys::DRAINS).and_then(|id| NodeId::try_new(id).ok()) else {
            return;
        };
        match entry.and_then(parse::<Drain>) {
            Some(drain) => drop(self.drains.insert(id, drain.boot_id)),
            None => drop(self.drains.remove(&id)),
        }
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
            drains: self.drains.clone(),
            rebalance: self.rebalance,
            heard: self.heard,
            complete: self.members.is_some() && self.leader.is_some() && self.ring.is_some(),
        }
    }

    fn rebuild(&mut self) {
        let registered = self.members.iter().flat_map(BTreeMap::values).map(|member| &member.id);
        let in_ring = self
            .ring
            .iter()
            .flatten()
            .flat_map(|(record, _)| {
                record
                    .layout
                    .members
                    .iter()
                    .chain(record.previous.iter().flat_map(|layout| &layout.members))
            })
            .map(|member| &member.id);
        let wanted: Vec<NodeId> = registered.chain(in_ring).cloned().collect();
        self.last_known.retain(|id, _| wanted.contains(id));
        let built = match self.ring.iter().flatten().next() {
            Some((record, mod_revision)) => VersionedRing {
                routing: Arc::new(Routing::new(record, &self.last_known)),
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
        Update::Listed(items, _) => Some(items.into_iter().find(|item| item.key == key)),
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
mod tests;
