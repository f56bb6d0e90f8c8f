//! Keys as callers give them and as shards keep them.
//!
//! A key has two hashes. The seeded one is computed once per operation: it chooses the shard, and the shard's tables take it
//! as it is; it is another one in each process, so nobody can prepare keys that collide. The other is the key's place on
//! the ring, the same on all nodes: it orders the shard's index, and is computed when a key is stored.
//! Lookups borrow; only an insert allocates.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use hash_ring::hash_key;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::namespaces::NamespaceId;

/// A key in its namespace; the default namespace is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The key in it.
    pub key: &'a str,
}

impl<'a> Key<'a> {
    /// A key in the default namespace.
    #[must_use]
    pub const fn plain(key: &'a str) -> Self {
        Self { namespace: "", key }
    }

    /// The key with its hash.
    pub(super) fn hashed(self, seed: u64) -> HashedKey<'a> {
        let seed = if self.namespace.is_empty() {
            seed
        } else {
            xxh3_64_with_seed(self.namespace.as_bytes(), seed)
        };
        HashedKey {
            hash: xxh3_64_with_seed(self.key.as_bytes(), seed),
            namespace: NamespaceId::DEFAULT,
            key: self,
        }
    }

    /// Bytes of namespace and key.
    pub(super) fn len(self) -> usize {
        self.namespace.len() + self.key.len()
    }
}

/// A borrowed key and its hash: what a lookup uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct HashedKey<'a> {
    pub(super) hash: u64,
    /// Under which its namespace is counted; no part of the key.
    pub(super) namespace: NamespaceId,
    pub(super) key: Key<'a>,
}

impl HashedKey<'_> {
    /// The same key, counted under `namespace`.
    pub(super) const fn of(self, namespace: NamespaceId) -> Self {
        Self { namespace, ..self }
    }
}

/// An owned key: namespace and key in one allocation, shared by the table, the index, and whoever was given it.
///
/// Keys are ordered by their places on the ring.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    ring_hash: u64,
    hash: u64,
    text: Arc<str>,
    namespace_len: u32,
    namespace: NamespaceId,
}

impl StoredKey {
    /// Before every key at this place on the ring, and behind all before it.
    pub(super) fn first_at(ring_hash: u64) -> Self {
        Self {
            ring_hash,
            hash: 0,
            text: Arc::default(),
            namespace_len: 0,
            namespace: NamespaceId::DEFAULT,
        }
    }

    /// Bytes of namespace and key.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Place on the ring.
    pub(super) const fn ring_hash(&self) -> u64 {
        self.ring_hash
    }

    /// Under which its namespace is counted.
    pub(super) const fn namespace(&self) -> NamespaceId {
        self.namespace
    }

    /// The same key, counted under `namespace`.
    pub(super) fn of(self, namespace: NamespaceId) -> Self {
        Self { namespace, ..self }
    }

    /// The key itself.
    pub(super) fn key(&self) -> Key<'_> {
        let (namespace, key) = self.text.split_at(self.namespace_len as usize);
        Key { namespace, key }
    }

    /// The key without its namespace, shared when it has none.
    pub(super) fn shared_key(&self) -> Arc<str> {
        if self.namespace_len == 0 {
            Arc::clone(&self.text)
        } else {
            Arc::from(self.key().key)
        }
    }
}

impl PartialEq for StoredKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for StoredKey {}

impl PartialOrd for StoredKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StoredKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.ring_hash, self.hash)
            .cmp(&(other.ring_hash, other.hash))
            .then_with(|| self.namespace_len.cmp(&other.namespace_len))
            .then_with(|| self.text.cmp(&other.text))
    }
}

impl From<HashedKey<'_>> for StoredKey {
    /// The namespace is far shorter than 2³² bytes: whoever takes names in bounds them.
    fn from(HashedKey { hash, namespace, key }: HashedKey<'_>) -> Self {
        let text = if key.namespace.is_empty() {
            Arc::from(key.key)
        } else {
            Arc::from([key.namespace, key.key].concat())
        };
        Self {
            ring_hash: hash_key(key.namespace, key.key),
            hash,
            text,
            namespace_len: key.namespace.len() as u32,
            namespace,
        }
    }
}

/// What the table compares: lets a borrowed key find an owned one.
pub(super) trait Probe {
    fn hashed(&self) -> HashedKey<'_>;
}

impl Probe for HashedKey<'_> {
    fn hashed(&self) -> HashedKey<'_> {
        *self
    }
}

impl Probe for StoredKey {
    fn hashed(&self) -> HashedKey<'_> {
        HashedKey {
            hash: self.hash,
            namespace: self.namespace,
            key: self.key(),
        }
    }
}

impl Hash for StoredKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for dyn Probe + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hashed().hash);
    }
}

impl PartialEq for dyn Probe + '_ {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (self.hashed(), other.hashed());
        one.hash == two.hash && one.key == two.key
    }
}

impl Eq for dyn Probe + '_ {}

impl<'a> Borrow<dyn Probe + 'a> for StoredKey {
    fn borrow(&self) -> &(dyn Probe + 'a) {
        self
    }
}

/// Hands the hash through that the key already carries.
#[derive(Debug, Default)]
pub(super) struct PassThrough(u64);

/// Builds [`PassThrough`].
pub(super) type PassThroughBuilder = BuildHasherDefault<PassThrough>;

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_and_key_are_not_confused() {
        let one = StoredKey::from(
            Key {
                namespace: "ab",
                key: "c",
            }
            .hashed(1),
        );
        let two = StoredKey::from(
            Key {
                namespace: "a",
                key: "bc",
            }
            .hashed(1),
        );
        assert_eq!(one.text, two.text);
        assert_ne!(one, two);
        assert_ne!(one.hash, two.hash);
    }

    #[test]
    fn a_borrowed_key_equals_its_owned_form() {
        let borrowed = Key {
            namespace: "ns",
            key: "ключ",
        }
        .hashed(9);
        let owned = StoredKey::from(borrowed);
        assert!(<StoredKey as Borrow<dyn Probe>>::borrow(&owned) == &borrowed as &dyn Probe);
    }
}
