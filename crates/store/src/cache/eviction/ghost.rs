//! Hashes of entries that were evicted lately, in the order in which they went.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::in_hash_table;

/// Memory per hash at most: a place in a deque that is at least half full, and 5 bytes for each slot of a hash table.
pub(super) const BYTES_PER_HASH: usize = 2 * size_of::<u64>() + in_hash_table(5);

/// A set of hashes that forgets the oldest first.
#[derive(Default)]
pub(super) struct Ghost {
    /// Oldest first. Those that were taken out again stay until their turn comes.
    hashes: VecDeque<u64>,
    /// Number of `hashes[0]`; each hash has one, by which the table knows it.
    first: u32,
    table: HashTable<u32>,
}

impl Ghost {
    /// Remembers a hash.
    pub(super) fn push(&mut self, hash: u64) {
        self.take(hash);
        let Self { hashes, first, table } = self;
        // The table is bounded as the deque is, by far fewer than 2³².
        let number = first.wrapping_add(hashes.len() as u32);
        hashes.push_back(hash);
        table.insert_unique(hash, number, |&number| hash_of(hashes, *first, number));
    }

    /// Forgets a hash; whether it was there.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        let (hashes, first) = (&self.hashes, self.first);
        self.table
            .find_entry(hash, |&number| hash_of(hashes, first, number) == hash)
            .map(|entry| entry.remove())
            .is_ok()
    }

    /// Forgets the oldest ones until at most `limit` places are taken.
    pub(super) fn trim(&mut self, limit: usize) {
        while self.hashes.len() > limit
            && let Some(hash) = self.hashes.pop_front()
        {
            let first = self.first;
            if let Ok(entry) = self.table.find_entry(hash, |&number| number == first) {
                entry.remove();
            }
            self.first = first.wrapping_add(1);
        }
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        self.hashes.shrink_to_fit();
        let (hashes, first) = (&self.hashes, self.first);
        self.table.shrink_to_fit(|&number| hash_of(hashes, first, number));
    }

    /// Places taken.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

fn hash_of(hashes: &VecDeque<u64>, first: u32, number: u32) -> u64 {
    hashes.get(number.wrapping_sub(first) as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ghost = Ghost::default();
        for hash in 0..10 {
            ghost.push(hash);
            ghost.trim(4);
        }
        assert_eq!(ghost.len(), 4);
        assert!(!ghost.take(5));
        assert!((6..10).all(|hash| ghost.take(hash)));
        assert!(!ghost.take(9), "it is forgotten when it is taken");
    }

    #[test]
    fn a_hash_that_comes_again_is_as_young_as_its_last_time() {
        let mut ghost = Ghost::default();
        for hash in [1, 2, 3, 1, 4] {
            ghost.push(hash);
        }
        ghost.trim(2);
        assert!(ghost.take(1) && ghost.take(4));
        assert!(!ghost.take(2) && !ghost.take(3));
    }

    #[test]
    fn numbers_wrap() {
        let mut ghost = Ghost {
            first: u32::MAX - 3,
            ..Ghost::default()
        };
        for hash in 0..100 {
            ghost.push(hash);
            ghost.trim(8);
        }
        ghost.shrink();
        assert!((92..100).all(|hash| ghost.take(hash)));
    }
}
