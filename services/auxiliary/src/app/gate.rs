//! Lets batches of one epoch of the ring in, and of no other.
//!
//! When the ring changes, keys change hands. A batch routed by the old ring must not touch the cache after the entries that
//! went to other nodes have been dropped: what it wrote there would be found again, outdated, when the keys come back.

use std::time::Duration;

use api::Epoch;
use parking_lot::RwLock;
use tokio::sync::watch;

/// The epoch that is served.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    epoch: RwLock<Epoch>,
    changes: watch::Sender<Epoch>,
}

impl Gate {
    /// The epoch that is served.
    pub(crate) fn epoch(&self) -> Epoch {
        *self.epoch.read()
    }

    /// Runs `work` if `epoch` is served; it stays so until `work` is done. The epoch that is served otherwise.
    pub(crate) fn pass<T>(&self, epoch: Epoch, work: impl FnOnce() -> T) -> Result<T, Epoch> {
        let served = self.epoch.read();
        if *served == epoch { Ok(work()) } else { Err(*served) }
    }

    /// Serves another epoch from now on. When this returns, no work of the last one is under way.
    pub(crate) fn serve(&self, epoch: Epoch) {
        *self.epoch.write() = epoch;
        self.changes.send_replace(epoch);
    }

    /// Waits, a while at most, until `epoch` or a later one is served.
    pub(crate) async fn wait_for(&self, epoch: Epoch, at_most: Duration) {
        let mut changes = self.changes.subscribe();
        let reached = changes.wait_for(|served| *served >= epoch);
        // Whether it came in time is seen at the next attempt to pass.
        drop(tokio::time::timeout(at_most, reached).await);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn only_the_served_epoch_passes() {
        let gate = Gate::default();
        gate.serve(Epoch(3));
        assert_eq!(gate.pass(Epoch(3), || "done"), Ok("done"));
        assert_eq!(gate.pass(Epoch(2), || "done"), Err(Epoch(3)));
        assert_eq!(gate.pass(Epoch(4), || "done"), Err(Epoch(3)));
    }

    #[test]
    fn a_change_waits_for_work_under_way() {
        let (gate, finished) = (Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
        let (entered, inside) = std::sync::mpsc::channel();
        let worker = std::thread::spawn({
            let (gate, finished) = (Arc::clone(&gate), Arc::clone(&finished));
            move || {
                gate.pass(Epoch(0), || {
                    entered.send(()).unwrap();
                    std::thread::sleep(Duration::from_millis(30));
                    finished.store(true, Ordering::SeqCst);
                })
            }
        });
        inside.recv().unwrap();
        gate.serve(Epoch(1));
        assert!(finished.load(Ordering::SeqCst), "the old epoch's work was still under way");
        worker.join().unwrap().unwrap();
    }
}
