//! Drops expired entries that nobody asks for.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::CancellationToken;
use store::cache::Cache;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::clock::now_ms;

/// Pause between sweeps.
const INTERVAL: Duration = Duration::from_millis(500);
/// Entries dropped without a pause: a millisecond's work or so.
const STEP: usize = 1_000;

/// Sweeps until `stop`.
pub(crate) async fn run(cache: Arc<Cache>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        while cache.sweep(now_ms(), STEP) >= STEP && !stop.is_cancelled() {
            tokio::task::yield_now().await;
        }
    }
}
