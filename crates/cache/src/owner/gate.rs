//! Lets calls of one epoch of the ring in, and of no other.
//!
//! When the ring changes, keys change hands. A call routed by the old ring must not touch the cache once this node has told
//! anybody that it serves the new one: what it wrote would be missing where it is looked for from then on.

use std::sync::Arc;
use std::time::Duration;

use api::Epoch;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::state::State;

/// The ring that is served.
#[derive(Debug)]
pub(super) struct Gate {
    state: RwLock<Arc<State>>,
    /// Wakes in the order of waiting, which a watch channel does not: a simulation must be repeatable.
    changes: Notify,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: RwLock::new(Arc::new(State::default())),
            changes: Notify::new(),
        }
    }
}

impl Gate {
    /// What is served.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Waits for one of which `holds` is true.
    pub(super) async fn until(&self, holds: impl Fn(&Arc<State>) -> bool) -> Arc<State> {
        loop {
            let changed = self.changes.notified();
            let state = self.state();
            if holds(&state) {
                return state;
            }
            changed.await;
        }
    }

    /// Runs `work` if `epoch` is served; it stays so until `work` is done. The epoch that is served otherwise.
    pub(super) fn pass<T>(&self, epoch: Epoch, work: impl FnOnce(&Arc<State>) -> T) -> Result<T, Epoch> {
        let served = self.state.read();
        if served.epoch() == epoch {
            Ok(work(&served))
        } else {
            Err(served.epoch())
        }
    }

    /// Serves another ring from now on. When this returns, no work of the last one is under way.
    pub(super) fn serve(&self, state: Arc<State>) {
        *self.state.write() = state;
        self.changes.notify_waiters();
    }

    /// Waits, a while at most, until `epoch` or a later one is served.
    pub(super) async fn wait_for(&self, epoch: Epoch, at_most: Duration) {
        let reached = self.until(|served| served.epoch() >= epoch);
        // Whether it came in time is seen at the next attempt to pass.
        drop(tokio::time::timeout(at_most, reached).await);
    }
}
