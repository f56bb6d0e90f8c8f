//! Which entry goes when room is needed.
//!
//! A policy is the map of a shard: it keeps the values, sees every use, and chooses victims. It knows no bounds; whoever
//! is over one calls [`Eviction::victim`] until it is not. All policies are used through `Box<dyn Eviction>`: a virtual
//! call costs less than the hash lookup behind it, and an enum would repeat every method once more only to pass it on.
//!
//! What stays true of every policy:
//! - it holds exactly what was inserted and neither removed nor chosen: nothing leaves by itself;
//! - as long as it holds anything there is a victim;
//! - the victim is not the entry inserted last if there is another and nothing was used since;
//! - what it remembers of entries that are gone is bounded by the number of those that are there.

mod ghost;
mod lru;
mod s3fifo;
mod slab;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use self::lru::Lru;
use self::s3fifo::S3Fifo;
use super::key::{HashedKey, StoredKey};

/// How victims are chosen (`CACHE_POLICY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Least recently used.
    #[default]
    Lru,
    /// S3-FIFO: entries that are never used again leave soon, and displace nothing.
    S3Fifo,
}

/// No policy has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no eviction policy is called {0:?}; there are lru and s3fifo")]
pub struct UnknownPolicy(String);

/// Values by key, and a choice of victims.
pub(super) trait Eviction<V>: Send {
    /// The value of a key, and the key as it is kept; counts as a use.
    fn get_entry(&mut self, key: HashedKey<'_>) -> Option<(&StoredKey, &mut V)>;

    /// The value of a key; counts as a use.
    fn get(&mut self, key: HashedKey<'_>) -> Option<&mut V> {
        self.get_entry(key).map(|(_, value)| value)
    }

    /// The value of a key; does not count as a use.
    fn peek(&self, key: HashedKey<'_>) -> Option<&V>;

    /// Puts a value in place of the one held, which it gives back, or adds the key. Counts as a use.
    fn insert(&mut self, key: StoredKey, value: V) -> Option<V>;

    /// Takes a key out.
    fn remove(&mut self, key: HashedKey<'_>) -> Option<(StoredKey, V)>;

    /// Takes out the entry that is worth least; `None` when nothing is held.
    fn victim(&mut self) -> Option<(StoredKey, V)>;

    /// Number of entries.
    fn len(&self) -> usize;
}

/// Memory per entry in a hash table with slots of so many bytes, at most: `hashbrown` fills a table to 7/8, and when what was
/// removed takes nearly half of that, twice as large a table is a quarter full at least.
const fn in_hash_table(slot: usize) -> usize {
    slot * 32 / 7 + 1
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Lru, Self::S3Fifo];

    /// An empty map that evicts by this policy.
    pub(super) fn table<V: Send + 'static>(self) -> Box<dyn Eviction<V>> {
        match self {
            Self::Lru => Box::new(Lru::default()),
            Self::S3Fifo => Box::new(S3Fifo::default()),
        }
    }

    /// Most memory a map takes for an entry, besides its `V` and the text of its key: the key's handle, links, slots of hash
    /// tables, allocation headers, and what is remembered of entries that are gone.
    pub(super) const fn overhead(self) -> usize {
        match self {
            Self::Lru => lru::OVERHEAD,
            Self::S3Fifo => s3fifo::OVERHEAD,
        }
    }

    /// Its name in settings and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::S3Fifo => "s3fifo",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}
