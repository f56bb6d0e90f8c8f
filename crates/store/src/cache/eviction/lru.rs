//! Least recently used.

use ::lru::LruCache;

use super::super::key::{HashedKey, PassThroughBuilder, Probe, StoredKey};
use super::{Eviction, in_hash_table};

/// The key's handle and two links in an allocation of their own (with its header), and slots of 17 bytes in a hash table.
pub(super) const OVERHEAD: usize = size_of::<StoredKey>() + 16 + 8 + in_hash_table(17);

/// The `lru` crate's map, unbounded.
pub(super) struct Lru<V>(LruCache<StoredKey, V, PassThroughBuilder>);

impl<V> Default for Lru<V> {
    fn default() -> Self {
        Self(LruCache::unbounded_with_hasher(PassThroughBuilder::default()))
    }
}

impl<V: Send> Eviction<V> for Lru<V> {
    fn get_entry(&mut self, key: HashedKey<'_>) -> Option<(&StoredKey, &mut V)> {
        self.0.get_key_value_mut(&key as &dyn Probe)
    }

    fn peek(&self, key: HashedKey<'_>) -> Option<&V> {
        self.0.peek(&key as &dyn Probe)
    }

    fn insert(&mut self, key: StoredKey, value: V) -> Option<V> {
        self.0.put(key, value)
    }

    fn remove(&mut self, key: HashedKey<'_>) -> Option<(StoredKey, V)> {
        self.0.pop_entry(&key as &dyn Probe)
    }

    fn victim(&mut self) -> Option<(StoredKey, V)> {
        self.0.pop_lru()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
