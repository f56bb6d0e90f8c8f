//! Points in time that come from another clock.
//!
//! Entries carry the moment at which they end, as the clock of the node that wrote it has it. Read by a clock that is an hour ahead, that
//! moment is over before it comes. So a node that is called reads all points in time in a call by its own clock, and tells those in
//! its answer by the caller's: what stays the same on the way is the time that is left, and neither clock has to be right. How far they are
//! apart is known from the beginning of each connection, when the caller says what time it has.
//!
//! Clocks that agree but for a moment count as equal. So nodes with good clocks exchange the very same numbers, and owners of a key
//! that compare an entry find it equal to the millisecond.

use api::cache::{BatchFrame, FrameOp, Lifetime, ReplicaItem, ReplicaState};

/// Less is no difference: as much as good clocks differ, and a call is on its way.
const TOLERATED_MS: i64 = 2_000;

/// How far another clock is ahead of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skew {
    ahead_ms: i64,
}

impl Skew {
    /// Between a clock that says `theirs_ms` and ours, which says `ours_ms` in the same moment.
    #[must_use]
    pub const fn between(theirs_ms: u64, ours_ms: u64) -> Self {
        let ahead_ms = theirs_ms.cast_signed().saturating_sub(ours_ms.cast_signed());
        if -TOLERATED_MS < ahead_ms && ahead_ms < TOLERATED_MS {
            return Self { ahead_ms: 0 };
        }
        Self { ahead_ms }
    }

    /// The other way round: from there, ours is so far ahead.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            ahead_ms: self.ahead_ms.saturating_neg(),
        }
    }

    /// Whether the clocks agree.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.ahead_ms == 0
    }

    /// Their point in time, by our clock. 0, which is never, stays never, and nothing else becomes it.
    #[must_use]
    pub const fn ours(self, theirs_ms: u64) -> u64 {
        match theirs_ms {
            0 => 0,
            _ if self.is_none() => theirs_ms,
            _ => match theirs_ms.saturating_add_signed(self.ahead_ms.saturating_neg()) {
                0 => 1,
                ours_ms => ours_ms,
            },
        }
    }

    /// Their life time, by our clock.
    #[must_use]
    pub const fn lifetime(self, theirs: Lifetime) -> Lifetime {
        Lifetime {
            fresh_until_ms: self.ours(theirs.fresh_until_ms),
            expires_at_ms: self.ours(theirs.expires_at_ms),
        }
    }

    /// Puts their state of a key by our clock.
    pub const fn adopt(self, item: &mut ReplicaItem<'_>) {
        match &mut item.state {
            ReplicaState::Live { lifetime, .. } => *lifetime = self.lifetime(*lifetime),
            ReplicaState::Deleted { at_ms, .. } => *at_ms = self.ours(*at_ms),
            ReplicaState::Evicted => {}
        }
    }

    /// Their operations, by our clock.
    pub(crate) fn batch(self, frame: &mut BatchFrame<'_>) {
        if self.is_none() {
            return;
        }
        for item in &mut frame.items {
            if let FrameOp::Put { lifetime, .. } | FrameOp::Touch { lifetime, .. } = &mut item.op {
                *lifetime = self.lifetime(*lifetime);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn what_is_left_stays_the_same_on_the_way() {
        for (theirs, ours) in [(NOON + HOUR, NOON), (NOON, NOON + HOUR), (NOON, NOON)] {
            let skew = Skew::between(theirs, ours);
            assert_eq!(skew.ours(theirs + 5_000), ours + 5_000);
            assert_eq!(skew.reversed().ours(ours + 5_000), theirs + 5_000);
        }
    }

    #[test]
    fn clocks_that_agree_but_for_a_moment_are_equal() {
        let skew = Skew::between(NOON + 1_900, NOON);
        assert!(skew.is_none() && Skew::between(NOON, NOON + 1_900).is_none());
        assert_eq!(skew.ours(NOON), NOON);
    }

    #[test]
    fn never_stays_never_and_nothing_else_becomes_it() {
        let skew = Skew::between(u64::MAX / 4, 1);
        assert_eq!(skew.lifetime(Lifetime::default()), Lifetime::default());
        assert_eq!(skew.ours(5), 1);
        assert_eq!(skew.reversed().ours(u64::MAX), u64::MAX);
    }
}
