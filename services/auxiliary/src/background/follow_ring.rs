//! Follows the ring: serves its epoch, and drops what went to other nodes.
//!
//! An entry that stayed behind would be found again, outdated, when its key comes back. What is kept is therefore only what
//! this node owns in the old ring *and* in the new one; a node that missed a ring in between cannot know that, and keeps
//! nothing. The next epoch is not served before the last one's entries are dropped.

use std::sync::Arc;

use api::{Epoch, NodeId};
use cluster::{Routing, View};
use lifecycle::CancellationToken;
use store::cache::Cache;
use tracing::info;

use crate::app::gate::Gate;

/// Follows the ring until `stop`.
pub(crate) async fn run(view: Arc<View>, gate: Arc<Gate>, cache: Arc<Cache>, me: NodeId, stop: CancellationToken) {
    let mut changes = view.subscribe();
    loop {
        let routing = Arc::clone(changes.borrow_and_update().routing());
        if routing.epoch() != gate.epoch() {
            adopt(&gate, &cache, &me, routing).await;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

async fn adopt(gate: &Gate, cache: &Arc<Cache>, me: &NodeId, routing: Arc<Routing>) {
    let (from, to) = (gate.epoch(), routing.epoch());
    gate.serve(to);
    let (cache, me) = (Arc::clone(cache), me.clone());
    let purge = move || match follows(from, to) {
        true => cache.retain(|key| routing.owner_id(key.namespace, key.key) == Some(me.as_str())),
        false => cache.retain(|_| false),
    };
    match tokio::task::spawn_blocking(purge).await {
        Ok(dropped) => info!(epoch = %to, dropped, "serving a new ring"),
        Err(error) => {
            // Nothing is served until the task, started again, has dropped everything.
            gate.serve(Epoch::default());
            if let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Whether no ring was missed in between; 0 stands for none.
const fn follows(from: Epoch, to: Epoch) -> bool {
    from.0 != 0 && to.0 == from.0 + 1
}
