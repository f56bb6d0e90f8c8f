//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until `look` gives `Ok`, and returns what was seen. A look must be bounded by itself.
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
        match look().await {
            Ok(seen) => return seen,
            Err(seen) => assert!(Instant::now() < give_up, "waited {within:?} for: {what}; last seen: {seen}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
