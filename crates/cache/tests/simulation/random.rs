//! A small seeded generator: the same seed gives the same run on every machine.

use std::time::Duration;

use parking_lot::Mutex;

/// Everything random in a run comes from here.
pub(crate) struct Random(Mutex<u64>);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `low..=high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True `per_mille` times of a thousand.
    pub(crate) fn chance(&self, per_mille: u64) -> bool {
        self.next() % 1_000 < per_mille
    }

    /// Milliseconds, `low..=high` of them.
    pub(crate) fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of these; there must be one.
    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.between(0, from.len() as u64 - 1) as usize]
    }
}
