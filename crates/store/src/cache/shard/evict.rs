//! What leaves because there is no room.

use super::super::changes::ChangeKind;
use super::super::record::Role;
use super::{Place, Shard};

impl Shard {
    /// Takes out the entry worth least among those of a role; the last one in the table `spared` stays. Whether there was one.
    ///
    /// Where there are several tables of that role, they take turns in proportion to their sizes.
    pub(in super::super) fn evict(&mut self, role: Role, spared: Option<Place>) -> bool {
        let evictable = |shard: &Self, place| match shard.len_of(place) {
            1 if spared == Some(place) => 0,
            len => len,
        };
        if role == Role::Replica {
            return evictable(self, Place::Replica) > 0 && self.evict_from(Place::Replica);
        }
        let places = || std::iter::once(Place::Primary).chain(self.quotas.keys().map(|id| Place::Quota(*id)));
        let sum: usize = places().map(|place| evictable(self, place)).sum();
        // Steps of the golden ratio are spread evenly.
        let turn = self.turn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut rest = ((u128::from(turn) * sum as u128) >> 64) as usize;
        let chosen = places().find(|place| {
            let len = evictable(self, *place);
            let chosen = rest < len;
            rest = rest.saturating_sub(len);
            chosen
        });
        self.turn = turn;
        chosen.is_some_and(|place| self.evict_from(place))
    }

    /// Takes the entry worth least out of one table; whether there was one.
    pub(in super::super) fn evict_from(&mut self, place: Place) -> bool {
        let Some((stored, entry)) = self.table_mut(place).and_then(|table| table.victim()) else {
            return false;
        };
        self.lost(place, &stored, &entry);
        if place.role() == Role::Primary {
            self.stats_of(stored.namespace()).evictions += 1;
            self.changed(ChangeKind::Evicted, stored, entry.version);
        }
        true
    }
}
