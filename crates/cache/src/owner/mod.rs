//! What auxiliaries do: carry out the operations on the keys they are the primary of, and keep copies of others.

mod adopt;
mod apply;
mod gate;
mod lane;
mod loads;
mod manage;
mod metrics;
mod outcome;
mod replicate;
mod serve;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::cache::SyncProgress;
use api::member::Phase;
use api::{BootId, Epoch, NodeId};
use parking_lot::Mutex;
use store::cache::{Cache, Keep};
use telemetry::Registry;

use crate::events::Events;
use crate::{Clock, Peers, Rings};
use gate::Gate;
use loads::Loads;
use metrics::Metrics;

pub use manage::NotHandedOver;
pub use serve::{Call, Refused};
pub(crate) use state::State;

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub id: NodeId,
    /// This life of it.
    pub boot_id: BootId,
}

/// What an owner may be told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Longest wait for an epoch a caller knows and this node does not know yet.
    pub catch_up: Duration,
    /// Longest time for a batch, waits for replicas included; below the masters' deadline.
    pub deadline: Duration,
    /// Largest answer to a batch, unless a single value is larger.
    pub max_answer_bytes: usize,
    /// What range sync may fetch in a second.
    pub sync_bytes_per_second: u64,
    /// Whether the store is looked through on a thread of its own; a simulation does it in place, to be repeatable.
    pub offload: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            catch_up: Duration::from_secs(1),
            deadline: Duration::from_millis(4500),
            max_answer_bytes: api::cache::MAX_FRAME_BYTES,
            sync_bytes_per_second: 64 << 20,
            offload: true,
        }
    }
}

/// An auxiliary's part of the cache. Keep [`Owner::follow`] and [`Owner::sync`] running.
#[derive(Debug)]
pub struct Owner {
    pub(crate) me: Identity,
    pub(crate) store: Arc<Cache>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) rings: Arc<dyn Rings>,
    pub(crate) progress: Mutex<Option<SyncProgress>>,
    pub(crate) metrics: Metrics,
    events: Events,
    gate: Gate,
    ways: Arc<lane::Ways>,
    loads: Loads,
    /// The last epoch for which everything was fetched.
    synced: AtomicU64,
    /// What writes hold that were applied under earlier rings.
    earlier: Mutex<Vec<Arc<()>>>,
    /// The last frame taken of each other life in the ring.
    taken: Mutex<HashMap<BootId, Arc<Mutex<u64>>>>,
}

impl Owner {
    /// An owner that serves nothing until it follows the ring.
    #[must_use]
    pub fn new(
        me: Identity,
        store: Arc<Cache>,
        peers: Arc<dyn Peers>,
        rings: Arc<dyn Rings>,
        clock: Clock,
        options: Options,
        registry: &Registry,
    ) -> Arc<Self> {
        // What was loaded from a backup may have to be compared with others before anything of it is forgotten.
        store.keep(Keep::Versions);
        let metrics = Metrics::new(registry);
        let ways = lane::Ways {
            me: me.boot_id,
            frames_made: AtomicU64::new(0),
            peers: Arc::clone(&peers),
            rings: Arc::clone(&rings),
            frames: metrics.replica_frames.clone(),
            delay: metrics.replica_delay.clone(),
        };
        Arc::new(Self {
            me,
            store,
            clock,
            options,
            peers,
            rings,
            progress: Mutex::default(),
            metrics,
            events: Events::default(),
            gate: Gate::default(),
            ways: Arc::new(ways),
            loads: Loads::default(),
            synced: AtomicU64::new(0),
            earlier: Mutex::default(),
            taken: Mutex::default(),
        })
    }

    /// The entries.
    #[must_use]
    pub const fn store(&self) -> &Arc<Cache> {
        &self.store
    }

    /// What happens to the entries this node is the primary of.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &NodeId {
        &self.me.id
    }

    /// How far the change of the ring that is served has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.gate.state().phase()
    }

    /// The epoch that is served.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.gate.state().epoch()
    }

    /// Whether it holds all it must hold in the ring that is served.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let state = self.gate.state();
        let served = state.routing.serves(&self.me.id, self.me.boot_id);
        let fetched = state.phase() != Phase::Moving || self.synced.load(Ordering::Acquire) == state.epoch().0;
        // Who leaves, and who orders the writes of a key no more, first hands over what it has applied.
        served && fetched && (state.phase() != Phase::Settling || self.has_handed_over())
    }

    /// Whether every write that was applied under an earlier ring is where it must be, or given up.
    pub(super) fn has_handed_over(&self) -> bool {
        let mut earlier = self.earlier.lock();
        earlier.retain(|open| Arc::strong_count(open) > 1);
        earlier.is_empty()
    }

    /// Returns when this life of the node has no part in the ring any more.
    pub async fn departed(&self) {
        self.gate.until(|state| state.me.is_none()).await;
    }

    /// Part of all keys that this node orders the writes of.
    #[must_use]
    pub fn share(&self) -> f64 {
        let state = self.gate.state();
        let mine = state.routing.shares().find(|(id, _)| **id == self.me.id);
        mine.map_or(0.0, |(_, share)| share)
    }

    /// Returns when [`Owner::is_synced`] first is true.
    pub async fn synced(&self) {
        while !self.is_synced() {
            // The end of a sync is no change of the ring.
            let state = self.state();
            tokio::time::timeout(Duration::from_millis(50), self.after(&state)).await.ok();
        }
    }

    /// How far the last range sync has come.
    #[must_use]
    pub fn progress(&self) -> Option<SyncProgress> {
        self.progress.lock().clone()
    }

    /// Looks through the store without holding up other tasks.
    pub(crate) async fn offload<T: Send + 'static>(&self, work: impl FnOnce(&Cache) -> T + Send + 'static) -> T {
        let store = Arc::clone(&self.store);
        if !self.options.offload {
            return work(&store);
        }
        let worked = tokio::task::spawn_blocking(move || work(&store));
        worked
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.gate.state()
    }

    /// What is served after `state`.
    pub(crate) async fn after(&self, state: &Arc<State>) -> Arc<State> {
        self.gate.until(|served| !Arc::ptr_eq(served, state)).await
    }

    /// Does something if the epoch of `state` is served; it stays so until that is done.
    pub(crate) fn under<T>(&self, state: &State, work: impl FnOnce() -> T) -> Option<T> {
        self.gate.pass(state.epoch(), |_| work()).ok()
    }

    pub(crate) fn has_synced(&self, epoch: Epoch) {
        self.synced.store(epoch.0, Ordering::Release);
    }
}
