//! Versions of writes: a hybrid logical clock (Kulkarni et al., *Logical Physical Clocks*, 2014), in one word.
//!
//! A stamp counts microseconds since 2024, so that it stays below 2^53 (an exact JSON number) for 280 years. It grows
//! with every stamp given and never falls behind one that was seen. Two masters may give the same stamp to two writes of
//! one key: the owner answers `stale` to the second, which is then stamped anew. Only a write that may have been executed
//! before says so, and finds its own stamp there; that another master gave just this stamp to the same value, or to another
//! delete, in the moments between the two attempts is the one case where two writes are taken for one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Clock;

/// 2024-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_704_067_200);
/// A stamp further ahead of our clock than this is not followed: one wrong clock would drag all others along.
const MAX_DRIFT_US: u64 = 500_000;

/// Gives stamps; one per master.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    clock: Clock,
    last: AtomicU64,
}

impl Stamps {
    /// Stamps by this clock.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: AtomicU64::new(0),
        }
    }

    /// A stamp above every other given or seen here.
    pub(super) fn next(&self) -> u64 {
        self.after_clock(self.now())
    }

    /// Makes later stamps greater than one seen elsewhere, unless that is too far ahead of the time of day. Whether it did.
    pub(super) fn observe(&self, seen: u64) -> bool {
        let follows = seen.saturating_sub(self.now()) <= MAX_DRIFT_US;
        if follows {
            self.last.fetch_max(seen, Ordering::AcqRel);
        }
        follows
    }

    /// A stamp above one that a key has. If that is from a clock far ahead of ours, it is one of the next, for this key alone: versions
    /// order the writes of one key, so the key can be written, and nobody's clock is dragged along. Which of the next is drawn, for two
    /// masters must not give the same. None when there is no such stamp.
    pub(super) fn above(&self, held: u64) -> Option<u64> {
        if self.observe(held) {
            return Some(self.next());
        }
        held.checked_add(fastrand::u64(1..=1_000_000))
    }

    fn after_clock(&self, now: u64) -> u64 {
        let before = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(now.max(last + 1)));
        now.max(before.unwrap_or_else(|last| last) + 1)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.now().saturating_sub(EPOCH).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_even_when_the_clock_stands_or_goes_back() {
        let stamps = Stamps::default();
        let given = [100, 100, 100, 40, 101, 500].map(|now| stamps.after_clock(now));
        assert_eq!(given, [100, 101, 102, 103, 104, 500]);
    }

    #[test]
    fn stamp_stays_an_exact_json_number() {
        assert!(Stamps::default().next() < 1 << 53);
    }

    #[test]
    fn a_clock_far_ahead_is_topped_for_one_key_and_not_followed() {
        const HOUR: u64 = 3_600_000_000;
        let stamps = Stamps::default();
        let near = stamps.now() + 100_000;
        assert!(stamps.above(near).unwrap() > near && stamps.next() > near);
        let far = stamps.now() + HOUR;
        let (one, other) = (stamps.above(far).unwrap(), stamps.above(far).unwrap());
        assert!(one > far && other > far && one != other, "{far}: {one}, {other}");
        assert!(stamps.next() < far);
        assert_eq!(stamps.above(u64::MAX), None);
    }
}
