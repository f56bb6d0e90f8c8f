//! What comes and goes, and the accounts of it.

use super::super::entry::Entry;
use super::super::key::{HashedKey, StoredKey};
use super::super::record::Role;
use super::super::tally::Size;
use super::super::tombstones::Tombstone;
use super::{Place, Shard};

impl Shard {
    /// Writes an entry, in place of an entry or a tombstone; where it is now.
    pub(in super::super) fn insert(&mut self, key: HashedKey<'_>, entry: Entry, role: Role) -> Place {
        let place = self.place_of(role, key.namespace);
        match self.peek(key) {
            Some((held, _)) if held == place => self.replace(place, StoredKey::from(key), entry),
            Some(_) => {
                self.remove(key);
                self.add(place, StoredKey::from(key), entry);
            }
            None => {
                self.unbury(key);
                self.add(place, StoredKey::from(key), entry);
            }
        }
        place
    }

    /// Drops the entry of a key.
    pub(in super::super) fn remove(&mut self, key: HashedKey<'_>) -> Option<(StoredKey, Entry)> {
        for place in self.places(key) {
            if let Some((stored, entry)) = self.table_mut(place).and_then(|table| table.remove(key)) {
                self.lost(place, &stored, &entry);
                return Some((stored, entry));
            }
        }
        None
    }

    /// Puts an entry where its role and its namespace's number want it; where that is, if it was elsewhere.
    pub(in super::super) fn rehome(&mut self, key: HashedKey<'_>, role: Role) -> Option<Place> {
        let place = self.place_of(role, key.namespace);
        if self.peek(key)?.0 == place {
            return None;
        }
        let (stored, entry) = self.remove(key)?;
        self.add(place, stored.of(key.namespace), entry);
        Some(place)
    }

    /// Leaves a tombstone, in place of an entry or another tombstone.
    pub(in super::super) fn bury(&mut self, key: HashedKey<'_>, tombstone: Tombstone) {
        let stored = self.remove(key).map_or_else(|| StoredKey::from(key), |(stored, _)| stored);
        let cost = self.costs.tombstone(stored.len());
        if self.tombstones.insert(stored, tombstone).is_none() {
            self.tally.tombstones.gained(cost);
        }
    }

    /// Drops whatever a key has, entry or tombstone; whether it had anything.
    pub(in super::super) fn drop_key(&mut self, key: HashedKey<'_>) -> bool {
        self.remove(key).is_some() || self.unbury(key).is_some()
    }

    /// Drops a tombstone.
    pub(in super::super) fn unbury(&mut self, key: HashedKey<'_>) -> Option<Tombstone> {
        let (stored, tombstone) = self.tombstones.remove(key)?;
        self.tally.tombstones.lost(self.costs.tombstone(stored.len()));
        Some(tombstone)
    }

    fn add(&mut self, place: Place, stored: StoredKey, entry: Entry) {
        let size = Size {
            count: 1,
            bytes: self.cost(&stored, &entry).cast_signed(),
        };
        self.account(place, &stored, size);
        if let Some(at_ms) = entry.expiry() {
            self.expiring.insert((at_ms, stored.ring_hash()));
        }
        self.index.insert(stored.clone());
        if let Some(table) = self.table_mut(place) {
            table.insert(stored, entry);
        }
    }

    fn replace(&mut self, place: Place, stored: StoredKey, entry: Entry) {
        let (cost, expiry) = (self.cost(&stored, &entry), entry.expiry());
        let Some(old) = self.table_mut(place).and_then(|table| table.insert(stored.clone(), entry)) else {
            return;
        };
        let size = Size {
            count: 0,
            bytes: cost.cast_signed() - self.cost(&stored, &old).cast_signed(),
        };
        self.account(place, &stored, size);
        if old.expiry() != expiry {
            self.unschedule(&stored, &old);
            if let Some(at_ms) = expiry {
                self.expiring.insert((at_ms, stored.ring_hash()));
            }
        }
    }

    /// An entry has been taken out of its table.
    pub(super) fn lost(&mut self, place: Place, stored: &StoredKey, entry: &Entry) {
        let size = Size {
            count: -1,
            bytes: -self.cost(stored, entry).cast_signed(),
        };
        self.account(place, stored, size);
        self.index.remove(stored);
        self.unschedule(stored, entry);
    }

    /// The time an entry had is no longer its time. Two keys at one place of the ring may share one; the index is asked.
    fn unschedule(&mut self, stored: &StoredKey, entry: &Entry) {
        if let Some(at_ms) = entry.expiry()
            && self.expiring_at(at_ms, stored.ring_hash()).is_none()
        {
            self.expiring.remove(&(at_ms, stored.ring_hash()));
        }
    }

    fn cost(&self, stored: &StoredKey, entry: &Entry) -> usize {
        self.costs.entry(stored.len(), entry.len(), entry.expiry().is_some())
    }

    fn account(&mut self, place: Place, stored: &StoredKey, size: Size<isize>) {
        *self.tally.of(place.role()) += size;
        if place.role() == Role::Primary {
            let stats = self.stats_of(stored.namespace());
            stats.entries = stats.entries.wrapping_add_signed(size.count);
            stats.bytes = stats.bytes.wrapping_add_signed(size.bytes);
        }
        if let Place::Quota(id) = place {
            self.take_quota(id, size);
        }
    }
}
