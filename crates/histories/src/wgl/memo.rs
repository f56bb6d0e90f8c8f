//! What has been tried.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Situations, each a set of operations that have happened and the state they led to.
pub(super) struct Memo {
    tried: HashSet<u128, BuildHasherDefault<Low>>,
    limit: usize,
    /// Exclusive or of the fingerprints of the operations in the set (Zobrist 1970): an operation comes or goes in one step.
    happened: u128,
}

impl Memo {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            tried: HashSet::default(),
            limit,
            happened: 0,
        }
    }

    /// An operation comes into the set, or leaves it.
    pub(super) fn toggle(&mut self, call: usize) {
        self.happened ^= xxh3_128(&call.to_le_bytes());
    }

    /// Remembers the set with a state; whether it is new, or nothing when there is no room.
    pub(super) fn remember(&mut self, state: u128) -> Option<bool> {
        let mut situation = [0; 32];
        situation[..16].copy_from_slice(&self.happened.to_le_bytes());
        situation[16..].copy_from_slice(&state.to_le_bytes());
        let situation = xxh3_128(&situation);
        if self.tried.len() >= self.limit && !self.tried.contains(&situation) {
            return None;
        }
        Some(self.tried.insert(situation))
    }
}

/// Of a state.
pub(super) fn fingerprint(state: &impl Hash) -> u128 {
    let mut hasher = Xxh3::new();
    state.hash(&mut hasher);
    hasher.digest128()
}

/// Fingerprints are hashes already.
#[derive(Default)]
pub(super) struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half of a good hash is a good hash")]
        {
            self.0 = number as u64;
        }
    }
}
