//! Says whether this node may be counted on, and if not, why.

use std::sync::Arc;

use cache::owner::{Identity, Owner};
use cluster::{Snapshot, View};
use lifecycle::{CancellationToken, Tasks};
use transport::server::Readiness;

/// Until it holds all it must hold.
const FETCHING: &str = "fetching what it must hold from other nodes";
/// After it was drained, for as long as this life lasts.
const DRAINED: &str = "drained: it was asked to leave the ring, and nothing is read from it any more; stop it, or start it anew to have it back in the ring";

/// Ready while it holds all it must hold; a node that is to be taken out of the ring, or was, is not. Until `leaving`.
pub(crate) fn spawn(
    tasks: &Tasks,
    me: Identity,
    view: Arc<View>,
    owner: Arc<Owner>,
    readiness: Readiness,
    leaving: CancellationToken,
) {
    tasks.supervise("readiness", move |_| {
        let (me, view, owner) = (me.clone(), Arc::clone(&view), Arc::clone(&owner));
        let (readiness, leaving) = (readiness.clone(), leaving.clone());
        async move {
            tokio::select! {
                () = keep(&me, &view, &owner, &readiness) => {}
                () = leaving.cancelled() => {}
            }
        }
    });
}

async fn keep(me: &Identity, view: &View, owner: &Owner, readiness: &Readiness) {
    view.synced().await;
    loop {
        tokio::select! {
            () = owner.synced() => {}
            () = excuse(me, view, readiness) => {}
        }
        readiness.ready();
        owner.departed().await;
    }
}

/// Says why it is not ready; a node that was lost may be asked to stay away later. Never returns.
async fn excuse(me: &Identity, view: &View, readiness: &Readiness) {
    loop {
        let drained = is_drained(&view.load_full(), me);
        readiness.not_ready(if drained { DRAINED } else { FETCHING });
        view.wait_for(|snapshot| is_drained(snapshot, me) != drained).await;
    }
}

fn is_drained(snapshot: &Snapshot, me: &Identity) -> bool {
    snapshot.drains().get(&me.id) == Some(&me.boot_id) && !snapshot.routing().serves(&me.id, me.boot_id)
}
