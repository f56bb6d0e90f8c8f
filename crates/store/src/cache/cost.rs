//! Memory that entries and tombstones are accounted for.
//!
//! Sizes of what is allocated, plus what allocators add: `tests/memory.rs` holds the sum to the resident size.

use super::entry::Entry;
use super::eviction::Policy;
use super::key::StoredKey;
use super::memory::taken;
use super::tombstones::Tombstone;

/// Header of an allocation, and what is lost by rounding a small one up.
const ALLOCATION: usize = 8;

/// The text of a key is an `Arc<str>`: two counters, and the allocation.
const KEY_TEXT: usize = 16 + ALLOCATION;

/// Content type and value are an `Arc<[u8]>`, too.
const VALUE: usize = 16 + ALLOCATION;

/// Trees are built of nodes of 11 keys, which random inserts leave 70 % full, and keep links to parents and children.
const fn in_tree(size: usize) -> usize {
    size * 10 / 7 + 8
}

/// What a policy's tables and the rest of a shard take for each thing they hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    entry: usize,
}

impl Costs {
    pub(super) const fn of(policy: Policy) -> Self {
        Self {
            entry: policy.overhead() + size_of::<Entry>() + in_tree(size_of::<StoredKey>()) + KEY_TEXT + VALUE,
        }
    }

    /// Of an entry with a key, and a content type and a value, of so many bytes.
    pub(super) const fn entry(&self, key_len: usize, value_len: usize, expires: bool) -> usize {
        let expiry = if expires { in_tree(size_of::<(u64, u64)>()) } else { 0 };
        self.entry + key_len + taken(value_len) + expiry
    }

    /// Of a tombstone under a key of so many bytes.
    pub(super) const fn tombstone(&self, key_len: usize) -> usize {
        in_tree(size_of::<StoredKey>() + size_of::<Tombstone>()) + in_tree(size_of::<(u64, u64)>()) + KEY_TEXT + key_len
    }
}
