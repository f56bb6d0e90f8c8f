//! What is kept though its time is over, because its version keeps older ones out.
//!
//! A store forgets tombstones in the end, and what has expired at once: in a ring that stays as it is nothing older comes any
//! more. While it changes something may. And where no copy is left and owners put together what backups have, one backup may
//! hold what another one has overwritten: had the newer one expired between two comparisons and were forgotten, the older
//! one would be back.

use super::table::Cache;

/// What is kept though its time is over. It is never served, all the same, and goes when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Nothing: the ring is stable.
    #[default]
    Nothing,
    /// Tombstones: the ring changes, and what moves may be older.
    Tombstones,
    /// Tombstones, and entries that have expired: backups are being put together.
    Versions,
}

impl Keep {
    pub(super) const fn tombstones(self) -> bool {
        matches!(self, Self::Tombstones | Self::Versions)
    }

    pub(super) const fn expired(self) -> bool {
        matches!(self, Self::Versions)
    }
}

impl Cache {
    /// From the end of this call on, this is kept; at first nothing is.
    pub fn keep(&self, keep: Keep) {
        for index in 0..self.shards.len() {
            self.lock_at(index).keep = keep;
        }
    }
}
