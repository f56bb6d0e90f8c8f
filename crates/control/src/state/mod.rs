//! The state machine of the built-in engine: keys, revisions, leases and recent history, as a pure function of commands.
//!
//! No I/O and no clock, so that every node that applies the same commands holds the same state, and so that a test can
//! compare it with a naive model. Semantics are etcd's; what depends on a node's settings (the quota) travels in the
//! command, never in the machine, or nodes configured differently would disagree.

mod apply;
mod command;
mod history;
mod image;
#[cfg(test)]
mod model;
mod quota;
mod read;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(crate) use command::{Command, Outcome};
pub(crate) use history::{History, HistoryLimits};
pub(crate) use image::{Image, ImagePart};
pub(crate) use validate::{is_read_only, validate};

use crate::types::{KeyValue, LeaseId, Revision};

/// Revision of an empty store, as in etcd: the first write is 2, and 0 never names a write.
pub(crate) const FIRST_REVISION: Revision = 1;

/// Charged for each key beside its bytes: tree node, counters and lease binding.
const KEY_OVERHEAD: u64 = 96;

/// The replicated state.
#[derive(Debug)]
pub(crate) struct State {
    revision: Revision,
    keys: BTreeMap<Arc<str>, Stored>,
    leases: BTreeMap<LeaseId, Holding>,
    next_lease: i64,
    bytes: u64,
    user_bytes: u64,
    history: History,
}

/// A key's value and counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    value: Bytes,
    create_revision: Revision,
    mod_revision: Revision,
    version: u64,
    lease: Option<LeaseId>,
}

/// A lease and the keys that vanish with it.
#[derive(Debug)]
struct Holding {
    ttl: Duration,
    keys: BTreeSet<Arc<str>>,
}

impl State {
    /// An empty store.
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self {
            revision: FIRST_REVISION,
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_lease: 1,
            bytes: 0,
            user_bytes: 0,
            history: History::new(FIRST_REVISION + 1, limits),
        }
    }

    /// Revision of the last change.
    pub(crate) const fn revision(&self) -> Revision {
        self.revision
    }

    /// Bytes of keys and values, with overhead.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Bytes of the user's keys and values alone, with overhead.
    pub(crate) const fn user_bytes(&self) -> u64 {
        self.user_bytes
    }

    /// Recent changes.
    pub(crate) const fn history(&self) -> &History {
        &self.history
    }

    /// Full ttl of a lease that has not ended.
    pub(crate) fn lease_ttl(&self, lease: LeaseId) -> Option<Duration> {
        self.leases.get(&lease).map(|holding| holding.ttl)
    }

    /// All leases with their full ttl.
    pub(crate) fn leases(&self) -> impl Iterator<Item = (LeaseId, Duration)> + '_ {
        self.leases.iter().map(|(id, holding)| (*id, holding.ttl))
    }
}

impl Stored {
    fn to_key_value(&self, key: &str) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: self.value.clone(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
        }
    }
}

/// What a key is charged.
fn charge(key: &str, value: &Bytes) -> u64 {
    (key.len() + value.len()) as u64 + KEY_OVERHEAD
}
