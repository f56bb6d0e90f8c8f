//! What happened, as one number, and in words for whoever replays a seed.

use std::fmt::Arguments;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

/// The record of everything that could differ between two runs.
pub(super) struct Trace {
    began: Instant,
    told: bool,
    /// A name of chance that stands in texts.
    dir: String,
    state: Mutex<(Xxh3, u64)>,
}

impl Trace {
    pub(super) fn new(told: bool, dir: String) -> Self {
        Self {
            began: Instant::now(),
            told,
            dir,
            state: Mutex::new((Xxh3::new(), 0)),
        }
    }

    /// Notes something.
    pub(super) fn note(&self, what: Arguments<'_>) {
        let line = format!("{:>9.3} {what}\n", self.now().as_secs_f64()).replace(&self.dir, "DIR");
        let mut state = self.state.lock();
        state.0.update(line.as_bytes());
        state.1 += 1;
        if self.told {
            eprint!("{line}");
        }
    }

    /// Time since the begin, on the simulated clock.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The number, and how many things were noted.
    pub(super) fn hash(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.0.digest(), state.1)
    }
}
