//! One shard: its tables, an index over them, and what was deleted. Always behind its lock; knows no bounds.
//!
//! What stays true:
//! - an entry is in exactly one table: that of the primaries or of its namespace's quota, or that of the replicas;
//! - the index has the key of every entry and nothing else, in the order of the ring: scans go on where they stopped,
//!   whatever happened between their steps;
//! - a key has an entry or a tombstone, not both;
//! - whatever comes or goes is added to the tally, which whoever holds the lock adds to the totals before giving it up.

mod evict;
mod expire;
mod quota;
mod scan;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::changes::{Change, ChangeKind, Changes};
use super::cost::Costs;
use super::entry::Entry;
use super::eviction::{Eviction, Policy};
use super::keep::Keep;
use super::key::{HashedKey, StoredKey};
use super::namespaces::{NamespaceId, NamespaceStats, Quota};
use super::record::Role;
use super::tally::Tally;
use super::tombstones::Tombstones;

pub(super) use self::scan::Held;

/// Counters of one shard.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) expirations: u64,
    pub(super) evictions_by_entries: u64,
    pub(super) evictions_by_bytes: u64,
    pub(super) evictions_by_quota: u64,
    pub(super) tombstones_lost: u64,
}

/// The table an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Primary,
    Replica,
    /// Primaries of a namespace with a quota.
    Quota(NamespaceId),
}

impl Place {
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Primary | Self::Quota(_) => Role::Primary,
            Self::Replica => Role::Replica,
        }
    }
}

type Table = Box<dyn Eviction<Entry>>;

pub(super) struct Shard {
    policy: Policy,
    costs: Costs,
    primaries: Table,
    replicas: Table,
    quotas: BTreeMap<NamespaceId, (Arc<Quota>, Table)>,
    index: BTreeSet<StoredKey>,
    /// When, and place on the ring, of entries that expire.
    expiring: BTreeSet<(u64, u64)>,
    pub(super) tombstones: Tombstones,
    pub(super) changes: Changes,
    /// Whether expirations are changes somebody wants to hear of.
    pub(super) listening: bool,
    /// What stays though its time is over.
    pub(super) keep: Keep,
    pub(super) counters: Counters,
    pub(super) namespaces: Vec<NamespaceStats>,
    tally: Tally,
    /// Whose turn it is among the tables a victim may come from.
    turn: u64,
}

impl Shard {
    pub(super) fn new(policy: Policy, changes: usize) -> Self {
        Self {
            policy,
            costs: Costs::of(policy),
            primaries: policy.table(),
            replicas: policy.table(),
            quotas: BTreeMap::new(),
            index: BTreeSet::new(),
            expiring: BTreeSet::new(),
            tombstones: Tombstones::default(),
            changes: Changes::new(changes),
            listening: false,
            keep: Keep::default(),
            counters: Counters::default(),
            namespaces: Vec::new(),
            tally: Tally::default(),
            turn: 0,
        }
    }

    /// What changed since the last call.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The live entry of a key, used once more; an expired one is dropped on the way, unless it is kept. Counted as a hit or
    /// a miss.
    pub(super) fn read(&mut self, key: HashedKey<'_>, now_ms: u64) -> Option<Entry> {
        let found = self.places(key).find_map(|place| self.table_mut(place)?.get(key).cloned());
        let live = match found {
            Some(entry) if entry.is_expired(now_ms) => {
                self.expire(key);
                None
            }
            found => found,
        };
        let stats = self.stats_of(key.namespace);
        match live {
            Some(_) => stats.hits += 1,
            None => stats.misses += 1,
        }
        live
    }

    /// The entry of a key, expired or not, and where it is. Not a use.
    pub(super) fn peek(&self, key: HashedKey<'_>) -> Option<(Place, &Entry)> {
        self.places(key)
            .find_map(|place| Some((place, self.table(place)?.peek(key)?)))
    }

    /// The live entry of a key; an expired one is dropped on the way, unless it is kept. Not a use.
    pub(super) fn live(&mut self, key: HashedKey<'_>, now_ms: u64) -> Option<&Entry> {
        if self.peek(key)?.1.is_expired(now_ms) {
            self.expire(key);
            return None;
        }
        self.peek(key).map(|(_, entry)| entry)
    }

    /// Number of entries in one table.
    pub(super) fn len_of(&self, place: Place) -> usize {
        self.table(place).map_or(0, |table| table.len())
    }

    fn places(&self, key: HashedKey<'_>) -> impl Iterator<Item = Place> + use<> {
        let quota = self
            .quotas
            .contains_key(&key.namespace)
            .then_some(Place::Quota(key.namespace));
        quota.into_iter().chain([Place::Primary, Place::Replica])
    }

    fn place_of(&self, role: Role, namespace: NamespaceId) -> Place {
        match role {
            Role::Replica => Place::Replica,
            Role::Primary if self.quotas.contains_key(&namespace) => Place::Quota(namespace),
            Role::Primary => Place::Primary,
        }
    }

    fn table(&self, place: Place) -> Option<&Table> {
        match place {
            Place::Primary => Some(&self.primaries),
            Place::Replica => Some(&self.replicas),
            Place::Quota(id) => self.quotas.get(&id).map(|(_, table)| table),
        }
    }

    fn table_mut(&mut self, place: Place) -> Option<&mut Table> {
        match place {
            Place::Primary => Some(&mut self.primaries),
            Place::Replica => Some(&mut self.replicas),
            Place::Quota(id) => self.quotas.get_mut(&id).map(|(_, table)| table),
        }
    }

    fn stats_of(&mut self, namespace: NamespaceId) -> &mut NamespaceStats {
        let index = namespace.index();
        if self.namespaces.len() <= index {
            self.namespaces.resize(index + 1, NamespaceStats::default());
        }
        &mut self.namespaces[index]
    }

    /// Changes in order since the last call.
    pub(super) fn take_changes(&mut self) -> VecDeque<Change> {
        self.tally.changes -= self.changes.len().cast_signed();
        self.changes.take()
    }

    fn changed(&mut self, kind: ChangeKind, key: StoredKey, version: u64) {
        let before = self.changes.len();
        self.changes.push(Change { kind, version, key });
        self.tally.changes += self.changes.len().cast_signed() - before.cast_signed();
    }
}
