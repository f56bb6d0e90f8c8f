//! Whether clients are welcome: when this master knows the cluster, and the control store has a majority that it reaches.

use std::sync::Arc;
use std::time::Duration;

use cluster::{View, keys};
use control::{Consistency, ControlStore};
use lifecycle::CancellationToken;
use transport::server::Readiness;

use crate::app::cluster::Cluster;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// An answer that takes longer is none. Longer than an election, which clients need not hear of.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps `readiness` true until `stop`.
pub(crate) async fn watch(
    store: Arc<dyn ControlStore>,
    cluster: &Cluster,
    view: &View,
    readiness: &Readiness,
    stop: CancellationToken,
) {
    let looking = async {
        loop {
            match trouble(&*store, cluster).await {
                Some(reason) => readiness.not_ready(reason),
                None => {
                    if !view.load().is_complete() {
                        readiness.not_ready("the cluster is not known yet");
                        view.synced().await;
                    }
                    readiness.ready();
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop.cancelled() => {}
    }
}

/// Why the control store does not serve. What clients need is a read that a majority stands behind, so that is what is tried.
async fn trouble(store: &dyn ControlStore, cluster: &Cluster) -> Option<String> {
    let read = tokio::time::timeout(PATIENCE, store.get(keys::RING, Consistency::Linearizable)).await;
    let reason = match read {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the control store does not answer within {PATIENCE:?}"),
    };
    // The engine may know more than a call that was given up.
    let Cluster::Raft(raft) = cluster else { return Some(reason) };
    let status = tokio::time::timeout(PATIENCE, raft.status()).await.ok();
    Some(status.and_then(|status| status.trouble).unwrap_or(reason))
}
