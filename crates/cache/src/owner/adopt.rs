//! Follows the ring: serves each new one, and drops what is nobody's here any more.
//!
//! A node that has no part in the ring keeps what it has, and serves none of it: when it comes back, range sync tells what
//! is outdated, and the rest need not travel.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use api::member::{Layout, Phase};
use cluster::{Duty, Routing};
use store::cache::{Keep, Role};
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
        self.store.keep(keep(&state));
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

/// What must not be forgotten though its time is over. A node without a part keeps what it has: others may have to ask for it.
fn keep(state: &State) -> Keep {
    let record = state.routing.record();
    match (&record.previous, record.phase) {
        _ if state.me.is_none() => Keep::Versions,
        (_, Phase::Stable) => Keep::Nothing,
        (Some(previous), Phase::Moving) if may_have_no_holder(previous) => Keep::Versions,
        _ => Keep::Tombstones,
    }
}

/// Whether some key may have lost all its holders, so that its owners put together what backups have.
fn may_have_no_holder(previous: &Layout) -> bool {
    let lost = previous.members.iter().filter(|member| member.lost).count();
    lost >= previous.members.len().min(previous.replicas.max(1) as usize)
}
