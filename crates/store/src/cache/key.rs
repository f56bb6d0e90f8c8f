//! Keys as callers give them and as shards keep them.
//!
//! The hash is computed once per operation: it chooses the shard, and the shard's table takes it as it is. It is seeded
//! anew in each process, so nobody can prepare keys that collide. Lookups borrow; only an insert allocates.

use std::borrow::Borrow;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

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
            key: self,
        }
    }
}

/// A borrowed key and its hash: what a lookup uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct HashedKey<'a> {
    pub(super) hash: u64,
    pub(super) key: Key<'a>,
}

/// An owned key: namespace and key in one allocation, shared by the table and the expiry index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StoredKey {
    hash: u64,
    namespace_len: usize,
    text: Arc<str>,
}

impl StoredKey {
    /// Bytes of namespace and key.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

impl From<HashedKey<'_>> for StoredKey {
    fn from(HashedKey { hash, key }: HashedKey<'_>) -> Self {
        let text = if key.namespace.is_empty() {
            Arc::from(key.key)
        } else {
            Arc::from([key.namespace, key.key].concat())
        };
        Self {
            hash,
            namespace_len: key.namespace.len(),
            text,
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
        let (namespace, key) = self.text.split_at(self.namespace_len);
        HashedKey {
            hash: self.hash,
            key: Key { namespace, key },
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
