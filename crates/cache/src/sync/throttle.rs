//! Keeps range sync from taking the network, and the cores, from clients.

use std::time::Duration;

use tokio::time::Instant;

/// Lets so many bytes pass in a second.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_second: u64,
    free_at: Instant,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            free_at: Instant::now(),
        }
    }

    /// Takes note of bytes that came, and returns when the next may.
    pub(super) async fn pass(&mut self, bytes: usize) {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.free_at = self.free_at.max(Instant::now()) + cost;
        // What takes less than a tick of the timer is left to add up.
        if self.free_at > Instant::now() + Duration::from_millis(2) {
            tokio::time::sleep_until(self.free_at).await;
        }
    }
}
