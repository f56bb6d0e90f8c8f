//! Notices that this process stood still (stopped, swapped out, its machine asleep).
//!
//! What reached its sockets meanwhile looks like new when it goes on. A write among it would get a stamp of now, and win
//! over what was written elsewhere in the meantime, though its client gave up long ago. So writes are refused for a moment
//! after standing still: certainly not executed, and whoever still wants them sends them again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How often life is shown.
const BEAT: Duration = Duration::from_millis(100);
/// Standing still for so long counts.
const TOO_LONG: Duration = Duration::from_secs(2);
/// Time for what waited in sockets to come up.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Beats while this process runs. Keep [`Pulse::run`] running, or it never refuses anything.
#[derive(Debug)]
pub(super) struct Pulse {
    origin: Instant,
    /// Milliseconds after `origin`; 0 before the first beat.
    last_ms: AtomicU64,
    /// Until then writes are refused.
    refuse_until_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            last_ms: AtomicU64::new(0),
            refuse_until_ms: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// Beats for ever.
    pub(super) async fn run(&self) {
        loop {
            self.beat(self.now_ms());
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Whether a write that is taken up now may have waited while this process stood still.
    pub(super) fn is_late(&self) -> bool {
        let now_ms = self.now_ms();
        self.stood_still(now_ms) || now_ms < self.refuse_until_ms.load(Ordering::Relaxed)
    }

    fn beat(&self, now_ms: u64) {
        if self.stood_still(now_ms) {
            tracing::warn!("this process stood still; writes that waited meanwhile are refused");
            self.refuse_until_ms
                .store(now_ms + AFTERMATH.as_millis() as u64, Ordering::Relaxed);
        }
        self.last_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    fn stood_still(&self, now_ms: u64) -> bool {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        last_ms != 0 && now_ms.saturating_sub(last_ms) > TOO_LONG.as_millis() as u64
    }

    fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writes_are_late_for_a_moment_after_standing_still() {
        let pulse = Pulse::default();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!pulse.is_late(), "nobody beats");
        pulse.beat(pulse.now_ms());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!pulse.is_late(), "a busy machine is not a stopped one");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(pulse.is_late(), "before the first beat after it");
        pulse.beat(pulse.now_ms());
        assert!(pulse.is_late(), "what waited comes up");
        tokio::time::advance(AFTERMATH).await;
        assert!(!pulse.is_late());
    }
}
