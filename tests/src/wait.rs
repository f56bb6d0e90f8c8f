//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until `look` gives `Ok`, and returns that; gives how long it took by [`Instant`] arithmetic at the caller's.
///
/// # Panics
/// At the deadline, with what was waited for and the last `Err`.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let give_up = Instant::now() + within;
    loop {
        // A look that hangs must not outlast the deadline for ever; its own client bounds it.
        match look().await {
            Ok(seen) => return seen,
            Err(seen) => assert!(Instant::now() < give_up, "waited {within:?} for: {what}; last seen: {seen}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
