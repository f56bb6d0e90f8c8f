//! The clock of a simulated process: tokio's, and what it has jumped ahead.
//!
//! It is the clock of the protocol's elections and of the leases. Deadlines of single calls are on tokio's as it is, where a
//! jump would only end a call early.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use tokio::time::Instant;

use super::runtime::ahead;

/// Now, by the clock of the process.
pub(crate) fn now() -> Instant {
    Moment::now().0
}

/// A reading of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(Instant::now() + ahead())
    }

    /// When that is by tokio's clock, if the process's does not jump again.
    pub(super) fn on_tokios_clock(self) -> Instant {
        self.0.checked_sub(ahead()).unwrap_or_else(Instant::now)
    }
}

impl openraft::rt::Instant for Moment {
    fn now() -> Self {
        Self::now()
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

impl SubAssign<Duration> for Moment {
    fn sub_assign(&mut self, time: Duration) {
        self.0 -= time;
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}
