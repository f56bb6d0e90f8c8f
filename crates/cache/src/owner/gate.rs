//! Lets calls of one epoch of the ring in, and of no other.
//!
//! When the ring changes, keys change hands. A call routed by the old ring must not touch the cache once this node has told
//! anybody that it serves the new one: what it wrote would be missing where it is looked for from then on.

use std::sync::Arc;
use std::time::Duration;

use api::Epoch;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::state::State;

/// The ring that is served.
#[derive(Debug)]
pub(super) struct Gate {
    state: RwLock<Arc<State>>,
    changes: watch::Sender<Arc<State>>,
}

impl Default for Gate {
    fn default() -> Self {
        let nothing = Arc::new(State::default());
        Self {
            state: RwLock::new(Arc::clone(&nothing)),
            changes: watch::Sender::new(nothing),
        }
    }
}

impl Gate {
    /// What is served.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Every change of it.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.changes.subscribe()
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
        *self.state.write() = Arc::clone(&state);
        self.changes.send_replace(state);
    }

    /// Waits, a while at most, until `epoch` or a later one is served.
    pub(super) async fn wait_for(&self, epoch: Epoch, at_most: Duration) {
        let mut changes = self.changes.subscribe();
        let reached = changes.wait_for(|served| served.epoch() >= epoch);
        // Whether it came in time is seen at the next attempt to pass.
        drop(tokio::time::timeout(at_most, reached).await);
    }
}
