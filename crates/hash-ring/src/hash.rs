//! Where keys and nodes lie on the ring. Frozen: see the golden vectors below before touching anything.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Position of a key on the ring.
///
/// The namespace seeds the hash of the key, so that no separator is needed and no pair of (namespace, key) can be
/// mistaken for another; the empty namespace is the plain hash of the key.
#[must_use]
pub fn hash_key(namespace: &str, key: &str) -> u64 {
    if namespace.is_empty() {
        xxh3_64(key.as_bytes())
    } else {
        xxh3_64_with_seed(key.as_bytes(), xxh3_64(namespace.as_bytes()))
    }
}

/// Position of the `number`th virtual node of a member.
pub(crate) fn hash_point(member: &str, number: u32) -> u64 {
    xxh3_64_with_seed(member.as_bytes(), u64::from(number) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    // All vectors were computed with the reference C implementation of xxHash, through its Python binding.

    #[test]
    fn positions_of_keys_are_frozen() {
        for (namespace, key, expected) in [
            ("", "a", 0xe6c6_32b6_1e96_4e1f),
            ("", "user:123", 0xe7fe_84ba_d891_3b52),
            ("", "ключ", 0x9a13_7c08_c1e5_5ede),
            ("sessions", "a", 0xbbd7_4787_4779_15d1),
            ("sessions", "user:123", 0x66e1_a2ef_5531_4b04),
        ] {
            assert_eq!(
                hash_key(namespace, key),
                expected,
                "{namespace:?} {key:?} -> {:#018x}",
                hash_key(namespace, key)
            );
        }
    }

    #[test]
    fn positions_of_virtual_nodes_are_frozen() {
        for (member, number, expected) in [
            ("auxiliary-1", 0, 0x70d8_b0a5_01cc_3faf),
            ("auxiliary-1", 255, 0xeef0_b994_a4ee_7186),
            ("auxiliary-2", 0, 0xf1af_676a_462d_4354),
        ] {
            assert_eq!(
                hash_point(member, number),
                expected,
                "{member} {number} -> {:#018x}",
                hash_point(member, number)
            );
        }
    }

    #[test]
    fn a_namespace_is_not_a_prefix_of_the_key() {
        assert_ne!(hash_key("a", "bc"), hash_key("ab", "c"));
        assert_ne!(hash_key("", "abc"), hash_key("a", "bc"));
    }
}
