//! What is known of many callers: a bounded number of them, those not heard of for longest forgotten first.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

/// Parts with a lock each, so that callers seldom wait for one another.
const PARTS: usize = 16;

/// Something for each caller.
pub struct Table<K, V> {
    parts: Vec<Mutex<LruCache<K, V>>>,
    // Seeded at random: nobody can choose names that meet in one part.
    hasher: RandomState,
}

impl<K: Hash + Eq, V: Default> Table<K, V> {
    /// For at least so many callers.
    #[must_use]
    pub fn new(callers: usize) -> Self {
        let each = NonZeroUsize::new(callers.div_ceil(PARTS)).unwrap_or(NonZeroUsize::MIN);
        // Without room from the start: most tables stay nearly empty.
        let part = |_| {
            let mut part = LruCache::unbounded();
            part.resize(each);
            Mutex::new(part)
        };
        Self {
            parts: (0..PARTS).map(part).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Does something with what is known of a caller; nothing is known of a new one.
    pub fn with<Q, T>(&self, caller: &Q, work: impl FnOnce(&mut V) -> T) -> T
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let part = self.hasher.hash_one(caller) as usize % PARTS;
        let mut part = self.parts[part].lock();
        match part.get_mut(caller) {
            Some(known) => work(known),
            None => work(part.get_or_insert_mut(caller.to_owned(), V::default)),
        }
    }

    /// Everything known, in no order.
    pub fn for_each(&self, mut work: impl FnMut(&K, &mut V)) {
        for part in &self.parts {
            for (caller, known) in part.lock().iter_mut() {
                work(caller, known);
            }
        }
    }
}

impl<K, V> std::fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_heard_of_last_are_remembered_and_memory_is_bounded() {
        let table: Table<u32, u64> = Table::new(1600);
        table.with(&7, |count| *count = 100);
        for other in 1000..200_000 {
            table.with(&other, |count| *count += 1);
            table.with(&7, |count| *count += 1);
        }
        assert_eq!(table.with(&7, |count| *count), 199_100);
        assert_eq!(table.with(&1000, |count| *count), 0, "forgotten");
        let mut known = 0;
        table.for_each(|_, _| known += 1);
        assert!(known <= 1600, "{known}");
    }

    #[test]
    fn names_are_looked_up_without_being_copied() {
        let table: Table<String, u64> = Table::new(10);
        table.with("key", |count| *count += 1);
        assert_eq!(table.with("key", |count| *count), 1);
    }
}
