//! S3-FIFO: "FIFO queues are all you need for cache eviction" (Yang, Zhang, Qiu, Yue, Rashmi; SOSP 2023), section 4.
//!
//! New entries go through a small queue, a tenth of all. Those used at least twice there move on to the main queue, the
//! others leave, and a ghost queue remembers their hashes: an entry that comes back while it is remembered goes to the main
//! queue at once. The main queue gives an entry another round for each of up to three uses. So a scan, or the many keys
//! that are asked for once, pass through a tenth of the cache and leave the rest alone.
//!
//! The paper's cache has room for a fixed number of entries. Here a bound may be on bytes, so the shares of the queues are of
//! the entries that are there: a victim comes from the small queue while that is over its share, else from the main one.

use hashbrown::HashTable;

use super::super::key::{HashedKey, Probe, StoredKey};
use super::ghost::{self, Ghost};
use super::slab::{self, Id, Queue, Slab};
use super::{Eviction, in_hash_table};

/// The key's handle in an allocation of its own with the value (with its header), a slot of the slab, 5 bytes for each slot
/// of a hash table, and a ghost.
pub(super) const OVERHEAD: usize = size_of::<StoredKey>() + 8 + slab::BYTES_PER_VALUE + in_hash_table(5) + ghost::BYTES_PER_HASH;

/// The small queue's share is one in this many.
const SMALL_SHARE: usize = 10;

/// Uses are counted up to here: two bits.
const MAX_USES: u8 = 3;

/// Uses in the small queue that bring an entry to the main one.
const USES_TO_STAY: u8 = 2;

/// A map with the paper's three queues.
pub(super) struct S3Fifo<V> {
    table: HashTable<Id>,
    slab: Slab<Item<V>>,
    ghost: Ghost,
    /// The entry inserted last, which is not chosen. When it is gone nothing is at its place, until the next one is inserted there.
    latest: Option<Id>,
}

struct Item<V> {
    key: StoredKey,
    value: V,
}

impl<V> Default for S3Fifo<V> {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            slab: Slab::default(),
            ghost: Ghost::default(),
            latest: None,
        }
    }
}

impl<V> S3Fifo<V> {
    /// Hashes in the ghost queue.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.ghost.len()
    }

    /// Slots of the slab, vacant ones as well.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slab.slots()
    }

    fn find(&self, key: HashedKey<'_>) -> Option<Id> {
        self.table
            .find(key.hash, |&id| {
                self.slab
                    .get(id)
                    .is_some_and(|item| &item.key as &dyn Probe == &key as &dyn Probe)
            })
            .copied()
    }

    fn take(&mut self, id: Id) -> Option<(StoredKey, V)> {
        let Item { key, value } = self.slab.take(id)?;
        if let Ok(entry) = self.table.find_entry(key.hashed().hash, |&other| other == id) {
            entry.remove();
        }
        Some((key, value))
    }

    /// The entry that is to go, and its queue. Those that have earned another round are moved on the way.
    fn choose(&mut self) -> Option<(Queue, Id)> {
        loop {
            let queue = self.turn();
            let id = self.slab.oldest(queue)?;
            let spared = self.latest == Some(id) && self.slab.len() > 1;
            let (_, uses) = self.slab.get_mut(id)?;
            let to = match queue {
                _ if spared => queue,
                Queue::Small if *uses >= USES_TO_STAY => {
                    *uses = 0;
                    Queue::Main
                }
                Queue::Main if *uses > 0 => {
                    *uses -= 1;
                    Queue::Main
                }
                Queue::Small | Queue::Main => return Some((queue, id)),
            };
            self.slab.requeue(id, to);
        }
    }

    /// The queue a victim is sought in; not one with nothing but the latest entry, while there is another.
    fn turn(&self) -> Queue {
        let (small, main) = (self.slab.queue_len(Queue::Small), self.slab.queue_len(Queue::Main));
        let share = ((small + main) / SMALL_SHARE).max(1);
        if small > share || main == 0 || (main == 1 && small > 0 && self.slab.oldest(Queue::Main) == self.latest) {
            Queue::Small
        } else {
            Queue::Main
        }
    }

    /// After entries have gone: the ghost is as large as the main queue's share at most, and memory follows.
    fn settle(&mut self) {
        let len = self.slab.len();
        self.ghost.trim(len - len / SMALL_SHARE);
        if self.slab.is_sparse() {
            let latest = self.latest.take();
            self.slab = std::mem::take(&mut self.slab).compacted(|from, to| {
                if latest == Some(from) {
                    self.latest = Some(to);
                }
            });
            self.table = HashTable::with_capacity(len);
            for (id, item) in self.slab.iter() {
                self.table
                    .insert_unique(item.key.hashed().hash, id, |&id| hash_of(&self.slab, id));
            }
            self.ghost.shrink();
        }
    }
}

fn hash_of<V>(slab: &Slab<Item<V>>, id: Id) -> u64 {
    slab.get(id).map(|item| item.key.hashed().hash).unwrap_or_default()
}

impl<V: Send> Eviction<V> for S3Fifo<V> {
    fn get_entry(&mut self, key: HashedKey<'_>) -> Option<(&StoredKey, &mut V)> {
        let id = self.find(key)?;
        let (item, uses) = self.slab.get_mut(id)?;
        *uses = (*uses + 1).min(MAX_USES);
        Some((&item.key, &mut item.value))
    }

    fn peek(&self, key: HashedKey<'_>) -> Option<&V> {
        Some(&self.slab.get(self.find(key)?)?.value)
    }

    fn insert(&mut self, key: StoredKey, value: V) -> Option<V> {
        if let Some(id) = self.find(key.hashed()) {
            self.latest = Some(id);
            let (item, uses) = self.slab.get_mut(id)?;
            *uses = (*uses + 1).min(MAX_USES);
            return Some(std::mem::replace(&mut item.value, value));
        }
        let hash = key.hashed().hash;
        let queue = if self.ghost.take(hash) { Queue::Main } else { Queue::Small };
        let id = self.slab.push(queue, Item { key, value });
        self.table.insert_unique(hash, id, |&id| hash_of(&self.slab, id));
        self.latest = Some(id);
        None
    }

    fn remove(&mut self, key: HashedKey<'_>) -> Option<(StoredKey, V)> {
        let taken = self.take(self.find(key)?);
        self.settle();
        taken
    }

    fn victim(&mut self) -> Option<(StoredKey, V)> {
        let (queue, id) = self.choose()?;
        let (key, value) = self.take(id)?;
        if queue == Queue::Small {
            self.ghost.push(key.hashed().hash);
        }
        self.settle();
        Some((key, value))
    }

    fn len(&self) -> usize {
        self.slab.len()
    }
}
