//! What holds for every policy, then each against a model that is too simple to be wrong.

mod contract;
mod order;
mod scans;

use std::sync::LazyLock;

use proptest::prelude::{Strategy, prop_oneof};

use super::super::key::{HashedKey, Key, Probe, StoredKey};
use super::{Eviction, Policy};

/// Numbers of keys in tests are below this.
const KEYS: usize = 30_000;

/// A key by its number; each hash belongs to `KEYS / 4096` keys or more, so that only comparison tells them apart.
fn key(n: usize) -> HashedKey<'static> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..KEYS).map(|n| n.to_string()).collect());
    HashedKey {
        hash: (n as u64 % 4096).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ..Key::plain(&NAMES[n]).hashed(0)
    }
}

fn number(stored: &StoredKey) -> usize {
    stored.hashed().key.key.parse().expect("a number")
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Get(usize),
    Peek(usize),
    Insert(usize),
    Remove(usize),
    Evict,
    /// Removes many keys.
    Thin(usize),
}

/// Whether [`Step::Thin`] keeps a key: all but the multiples of a small divisor, only those of a large one.
fn keeps(divisor: usize, n: usize) -> bool {
    n.is_multiple_of(divisor) == (divisor > 6)
}

/// Steps over few keys that share few hashes; the smaller the number the more it is used.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || (0usize..40, 0usize..40).prop_map(|(one, two)| one.min(two) % 10 + 4096 * (one.min(two) / 10));
    let step = prop_oneof![
        8 => key().prop_map(Step::Get),
        1 => key().prop_map(Step::Peek),
        8 => key().prop_map(Step::Insert),
        1 => key().prop_map(Step::Remove),
        4 => proptest::strategy::Just(Step::Evict),
        1 => (2usize..9).prop_map(Step::Thin),
    ];
    proptest::collection::vec(step, 1..160)
}

#[test]
fn policies_have_names() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert_eq!(
        "fifo".parse::<Policy>().unwrap_err().to_string(),
        "no eviction policy is called \"fifo\"; there are lru and s3fifo"
    );
}
