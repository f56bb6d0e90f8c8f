//! Wall-clock time that does not jump within a term.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jobs::Millis;

/// Begins at the wall clock and goes on with the monotonic one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    base: Millis,
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            base: wall(),
            started: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.base + millis(self.started.elapsed())
    }
}

/// The wall clock.
pub(in crate::app::jobs) fn wall() -> Millis {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
