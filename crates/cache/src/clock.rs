//! The time of day, as a seam: the simulation has its own, one per node, and they disagree.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What time it was when this process first asked, and when that was.
static BEGAN: LazyLock<(Duration, Instant)> = LazyLock::new(|| (wall(), Instant::now()));

/// Tells the time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// A clock that tells the time since 1970 by `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        millis((self.0)())
    }

    /// Time since 1970.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    /// This machine's, as it was when the process began, and counted from there: when somebody sets the machine's clock, no entry
    /// lives longer or shorter for it, and what peers know of this clock stays true.
    fn default() -> Self {
        Self::new(steady)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// What the machine's clock says now, in Unix milliseconds: for what outlives the process, and for what users call a point in time.
#[must_use]
pub fn wall_ms() -> u64 {
    millis(wall())
}

/// What [`Clock::default`] says, in Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    millis(steady())
}

fn steady() -> Duration {
    let (time, since) = *BEGAN;
    time + since.elapsed()
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
