//! Get-or-set: of all who miss a key one loads it, the others wait for what it writes.
//!
//! The primary of the key tells who loads ([`Action::Load`]). Those who wait ask it again and again, with growing pauses:
//! a waiter costs the cluster a few reads, and nothing has to be cleaned up when it goes away. Should the one who loads take
//! longer than it said, the next to ask becomes the one.

use std::time::Duration;

use cache::front::{Action, Answer, Cache, Failure, Operation, Outcome};
use tokio::time::{Instant, sleep};

/// First and longest pause between two questions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(100));

/// Reads a key by [`Action::Load`], and waits until `wait` is over while somebody else loads it: then the answer is
/// [`Outcome::Loading`].
///
/// # Errors
/// [`Failure`], as with any read.
pub async fn load(cache: &Cache, operation: Operation, wait: Duration) -> Result<Answer, Failure> {
    debug_assert!(
        matches!(operation.action, Action::Load { .. }),
        "nothing else answers Loading"
    );
    let until = Instant::now() + wait;
    let mut pause = PAUSES.0;
    loop {
        let answer = cache.execute(operation.clone()).await?;
        let left = until.saturating_duration_since(Instant::now());
        if answer.outcome != Outcome::Loading || left.is_zero() {
            return Ok(answer);
        }
        // Not all at the same moment.
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 4.0).min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}
