//! Learning who the masters are.
//!
//! What stays true: those that the node was told of are never forgotten, only asked last once they are no masters any more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Masters, REQUEST_TIMEOUT, wire};
use crate::failover::{Failover, Repeat};

/// Pause between two questions. Masters are replaced one after the other, which takes people longer.
const PAUSE: Duration = Duration::from_secs(5);

/// Asks for as long as somebody uses the store.
pub(super) async fn keep_learning(masters: Weak<Masters>) {
    loop {
        let Some(masters) = masters.upgrade() else { return };
        // One who does not say, or is of a version that cannot, leaves things as they are.
        if let Ok(now) = masters.call::<(), Vec<String>>(Repeat::Always, wire::MASTERS, &()).await {
            masters.take(now);
        }
        drop(masters);
        tokio::time::sleep(PAUSE).await;
    }
}

impl Masters {
    /// Asks these from now on, and those that were given after them. Calls stay with whom they are with.
    fn take(&self, mut now: Vec<String>) {
        if now.is_empty() {
            return;
        }
        let before = self.failover();
        let older = self.given.iter().filter(|address| !now.contains(address));
        let older: Vec<_> = older.cloned().collect();
        now.extend(older);
        if before.servers() == now {
            return;
        }
        tracing::info!(masters = now.join(","), "the masters of the control store are others now");
        let next = Failover::new(now, REQUEST_TIMEOUT);
        next.begin_with(before.address(before.current()));
        *self.failover.write() = Arc::new(next);
    }
}
