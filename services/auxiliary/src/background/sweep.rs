//! Drops expired entries that nobody asks for, and tells those who listen.

use std::sync::Arc;
use std::time::Duration;

use cache::Clock;
use cache::owner::Owner;
use lifecycle::CancellationToken;
use tokio::time::{MissedTickBehavior, interval};

/// Pause between sweeps.
const INTERVAL: Duration = Duration::from_millis(500);
/// Entries dropped without a pause: a millisecond's work or so.
const STEP: usize = 1_000;

/// Sweeps until `stop`.
pub(crate) async fn run(owner: Arc<Owner>, clock: Clock, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        owner.store().set_listening(owner.events().are_wanted());
        while owner.store().sweep(clock.now_ms(), STEP) >= STEP && !stop.is_cancelled() {
            owner.tell();
            tokio::task::yield_now().await;
        }
        owner.tell();
    }
}
