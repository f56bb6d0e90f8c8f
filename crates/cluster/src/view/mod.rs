//! What this node knows of the cluster: a snapshot that changes as a whole.

mod figures;
mod snapshot;
mod state;

pub use snapshot::{Snapshot, VersionedRing};

use std::sync::Arc;
use std::time::Duration;

use api::Epoch;
use arc_swap::{ArcSwap, Guard};
use control::{Consistency, ControlStore};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use transport::peer::PeerClient;

use crate::follow::{Update, follow};
use crate::{Error, keys};
use figures::Figures;
use state::State;

/// Snapshots that a reader of all of them may be behind.
const BEHIND: usize = 1024;

/// Follows members, ring and leader. Keep [`View::run`] running.
#[derive(Debug)]
pub struct View {
    store: Arc<dyn ControlStore>,
    state: Mutex<State>,
    current: ArcSwap<Snapshot>,
    changes: watch::Sender<Arc<Snapshot>>,
    all: broadcast::Sender<Arc<Snapshot>>,
    figures: Figures,
}

impl View {
    /// A view that knows nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, registry: &Registry) -> Self {
        let nothing = Arc::new(Snapshot::default());
        Self {
            store,
            state: Mutex::new(State::default()),
            current: ArcSwap::new(Arc::clone(&nothing)),
            changes: watch::Sender::new(nothing),
            all: broadcast::Sender::new(BEHIND),
            figures: Figures::new(registry),
        }
    }

    /// Follows the control store until `stop`. While the store is silent the last snapshot stays.
    pub async fn run(&self, stop: CancellationToken) {
        let members = follow(&self.store, keys::MEMBERS, &stop, |update| self.hear(update, State::members));
        let ring = follow(&self.store, keys::RING, &stop, |update| self.hear(update, State::ring));
        let leader = follow(&self.store, keys::LEADER, &stop, |update| self.hear(update, State::leader));
        tokio::join!(members, ring, leader);
    }

    /// The snapshot now: the hot path, no lock.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The snapshot now, to be kept for longer than a moment.
    #[must_use]
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The snapshot now and every later one (a slow reader sees only the newest).
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.changes.subscribe()
    }

    /// The snapshot now, and every later one: one for each revision of the control store that changed something, as long as that
    /// remembers them. A reader that falls a thousand behind misses the oldest, and is told so.
    #[must_use]
    pub fn follow_all(&self) -> (Arc<Snapshot>, broadcast::Receiver<Arc<Snapshot>>) {
        // While nothing changes, so that nothing is between the two.
        let _state = self.state.lock();
        (self.current.load_full(), self.all.subscribe())
    }

    /// Waits for a snapshot of which `holds` is true.
    pub async fn wait_for(&self, holds: impl FnMut(&Arc<Snapshot>) -> bool) -> Arc<Snapshot> {
        let mut changes = self.subscribe();
        // The sender lives as long as this view.
        let found = changes.wait_for(holds).await.map(|snapshot| Arc::clone(&snapshot));
        found.unwrap_or_else(|_| self.current.load_full())
    }

    /// Makes a client forget the nodes that leave, until `stop`.
    pub async fn forget_departed(&self, peers: PeerClient, stop: CancellationToken) {
        let mut changes = self.subscribe();
        while !stop.is_cancelled() {
            let snapshot = Arc::clone(&changes.borrow_and_update());
            peers.retain(|address| snapshot.members().any(|member| member.address == address));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits until members, ring and leader have been listed once.
    pub async fn synced(&self) {
        self.wait_for(|snapshot| snapshot.is_complete()).await;
    }

    /// Learns a ring of at least `epoch` now rather than when the watch brings it: by waiting for the watch, and asking the
    /// store when that does not come at once. For callers who were told of an epoch they do not know.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&self, epoch: Epoch) -> Result<Epoch, Error> {
        let grace = Duration::from_millis(5);
        if tokio::time::timeout(grace, self.wait_for(|snapshot| snapshot.epoch() >= epoch))
            .await
            .is_err()
        {
            let entry = self.store.get(keys::RING, Consistency::Linearizable).await?;
            self.change(|state| state.record_read(entry.as_ref()));
        }
        Ok(self.load().epoch())
    }

    fn hear(&self, update: Update, apply: fn(&mut State, Update)) {
        for step in update.by_revision() {
            self.change(|state| apply(state, step));
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let snapshot = Arc::new(state.snapshot());
        if *snapshot == **self.current.load() {
            return;
        }
        self.figures.show(&snapshot);
        self.current.store(Arc::clone(&snapshot));
        self.changes.send_replace(Arc::clone(&snapshot));
        // Mostly nobody wants to know each.
        drop(self.all.send(snapshot));
    }
}
