//! The one history that all masters applied, collected from each of them, and what every key held at each revision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::types::{Compare, Event, KeyValue, Op, OpResult, Range, RangeResponse, Revision, Txn};

/// Revision of a store without any write.
const FIRST: Revision = 1;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Truth {
    changes: BTreeMap<Revision, Change>,
    keys: BTreeMap<String, BTreeMap<Revision, Option<KeyValue>>>,
}

#[derive(Debug)]
struct Change {
    events: Arc<[Event]>,
    /// When it was seen first.
    at: Duration,
}

/// A key and what it holds afterwards; nothing when it was removed.
type Written = (String, Option<bytes::Bytes>);

impl Truth {
    /// Takes note of what a master applied at a revision; an error when another applied something else.
    pub(super) fn note(&mut self, revision: Revision, events: &Arc<[Event]>, at: Duration) -> Result<(), String> {
        if let Some(known) = self.changes.get(&revision) {
            if known.events == *events {
                return Ok(());
            }
            return Err(format!(
                "applied {events:?} at revision {revision}, and another master {:?}",
                known.events
            ));
        }
        for event in events.iter() {
            let held = match event {
                Event::Put(pair) => Some(pair.clone()),
                Event::Delete { .. } => None,
            };
            self.keys.entry(event.key().to_owned()).or_default().insert(revision, held);
        }
        let events = Arc::clone(events);
        self.changes.insert(revision, Change { events, at });
        Ok(())
    }

    /// A revision that nobody was seen to apply, below the last one.
    pub(super) fn hole(&self) -> Option<Revision> {
        (FIRST + 1..=self.last()).find(|revision| !self.changes.contains_key(revision))
    }

    /// The last revision.
    pub(super) fn last(&self) -> Revision {
        self.changes.last_key_value().map_or(FIRST, |(revision, _)| *revision)
    }

    /// What changed at a revision.
    pub(super) fn events(&self, revision: Revision) -> &[Event] {
        self.changes.get(&revision).map_or(&[], |change| &change.events)
    }

    /// All changes.
    pub(super) fn all(&self) -> impl Iterator<Item = (Revision, &[Event], Duration)> {
        self.changes
            .iter()
            .map(|(revision, change)| (*revision, &*change.events, change.at))
    }

    /// What a key held at a revision.
    pub(super) fn at(&self, key: &str, revision: Revision) -> Option<&KeyValue> {
        let versions = self.keys.get(key)?;
        versions.range(..=revision).next_back().and_then(|(_, held)| held.as_ref())
    }

    /// The first revision, from one on, at which a key held this.
    pub(super) fn first_with(&self, key: &str, held: Option<&KeyValue>, from: Revision) -> Option<Revision> {
        if self.at(key, from) == held {
            return Some(from);
        }
        let later = self.keys.get(key)?.range(from + 1..);
        later
            .into_iter()
            .find(|(_, version)| version.as_ref() == held)
            .map(|(revision, _)| *revision)
    }

    /// A listing as of a revision.
    pub(super) fn list(&self, prefix: &str, revision: Revision) -> Vec<KeyValue> {
        let keys = self
            .keys
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        keys.filter_map(|(key, _)| self.at(key, revision).cloned()).collect()
    }

    /// What a transaction answers, done right after a revision; and what it changes, as far as the values go.
    pub(super) fn execute(&self, txn: &Txn, after: Revision) -> (bool, Vec<OpResult>, Vec<Written>) {
        let holds = |compare: &Compare| {
            let held = |key: &str| self.at(key, after);
            match compare {
                Compare::Exists(key) => held(key).is_some(),
                Compare::Absent(key) => held(key).is_none(),
                Compare::CreateRevision(key, wanted) => held(key).is_some_and(|pair| pair.create_revision == *wanted),
                Compare::ModRevision(key, wanted) => held(key).is_some_and(|pair| pair.mod_revision == *wanted),
                Compare::Value(key, wanted) => held(key).is_some_and(|pair| pair.value == *wanted),
            }
        };
        let succeeded = txn.compares.iter().all(holds);
        let (mut results, mut changes) = (Vec::new(), Vec::new());
        for op in if succeeded { &txn.then } else { &txn.otherwise } {
            results.push(match op {
                Op::Put { key, value, .. } => {
                    changes.push((key.clone(), Some(value.clone())));
                    OpResult::Put
                }
                Op::Delete { key } => {
                    let there = self.at(key, after).is_some();
                    if there {
                        changes.push((key.clone(), None));
                    }
                    OpResult::Deleted(u64::from(there))
                }
                Op::DeletePrefix { prefix } => {
                    let doomed = self.list(prefix, after);
                    changes.extend(doomed.iter().map(|pair| (pair.key.clone(), None)));
                    OpResult::Deleted(doomed.len() as u64)
                }
                Op::Get { key } => OpResult::Range(RangeResponse {
                    items: self.at(key, after).cloned().into_iter().collect(),
                    more: false,
                    revision: after,
                }),
                Op::Range(Range { prefix, .. }) => OpResult::Range(RangeResponse {
                    items: self.list(prefix, after),
                    more: false,
                    revision: after,
                }),
            });
        }
        (succeeded, results, changes)
    }
}
