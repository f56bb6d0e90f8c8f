//! Follows the ring: serves each new one, and drops what is nobody's here any more.
//!
//! A node that has no part in the ring keeps what it has, and serves none of it: when it comes back, range sync tells what
//! is outdated, and the rest need not travel.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use api::member::Phase;
use cluster::{Duty, Routing};
use store::cache::Role;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Owner;
use super::lane::Lane;
use super::state::State;

impl Owner {
    /// Follows the ring until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        loop {
            let routing = self.rings.routing();
            if !Arc::ptr_eq(&routing, &self.state().routing) {
                self.adopt(Arc::clone(&routing)).await;
            }
            tokio::select! {
                biased;
                () = self.rings.changed(&routing) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn adopt(&self, routing: Arc<Routing>) {
        let before = self.state();
        let state = Arc::new(self.enter(Arc::clone(&routing)));
        // From here on everything is by the new ring; what waits for replicas by the old one looks again.
        self.gate.serve(Arc::clone(&state));
        self.taken
            .lock()
            .retain(|life, _| state.routing.index_of_life(*life).is_some());
        self.earlier.lock().push(Arc::clone(&before.open));
        before.over.cancel();
        if before.epoch() == state.epoch() {
            return;
        }
        self.store.keep_tombstones(state.phase() != Phase::Stable);
        let Some(me) = state.me else {
            info!(epoch = %state.epoch(), "this node has no part in the ring");
            return;
        };
        // Until the ring is stable somebody may have to ask for what this node need not hold: its backup may be the only one.
        let spare = (state.phase() != Phase::Stable).then_some(Role::Replica);
        let assigned = self.offload(move |store| {
            store.assign(|hash| match routing.duty(me, hash) {
                Some(Duty::Primary) => Some(Role::Primary),
                Some(Duty::Copy) => Some(Role::Replica),
                None => spare,
            })
        });
        let dropped = assigned.await;
        info!(epoch = %state.epoch(), phase = state.phase().as_str(), dropped, "serving a new ring");
    }

    fn enter(&self, routing: Arc<Routing>) -> State {
        let over = CancellationToken::new();
        let me = routing
            .index_of(&self.me.id, self.me.boot_id)
            .filter(|_| routing.serves(&self.me.id, self.me.boot_id));
        let lane = |node| {
            let to = routing.node(node).filter(|_| me.is_some() && me != Some(node))?;
            Some(Lane::open(to.clone(), routing.epoch(), over.clone(), Arc::clone(&self.ways)))
        };
        let lanes = routing.nodes().map(lane).collect();
        let heard = routing.nodes().map(|_| AtomicBool::new(false)).collect();
        State {
            routing,
            me,
            lanes,
            over,
            open: Arc::default(),
            heard,
        }
    }
}
