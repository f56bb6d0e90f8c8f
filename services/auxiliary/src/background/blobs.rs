//! Keeps blobs where they belong, and as they were written.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::CancellationToken;
use parking_lot::Mutex;
use store::blob::BlobName;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::app::blobs::{Blobs, Placement, Roster};

/// Time for several changes of the ring to become one.
const SETTLE: Duration = Duration::from_secs(1);
/// First and longest time until what could not be done is tried again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Time after which all is looked at although nothing changed: copies may have been missed by chance.
const ANYWAY: Duration = Duration::from_secs(15 * 60);
/// The first scrub of a life comes at this time at the latest, or nodes that start often would never do one.
const FIRST_SCRUB: Duration = Duration::from_secs(15 * 60);

/// Repairs as the ring changes, until `stop`.
pub(crate) async fn repair(blobs: Arc<Blobs>, stop: CancellationToken) {
    let repairing = async {
        let (mut roster, mut done, mut due) = (Roster::default(), None::<Placement>, Instant::now());
        let mut again = AGAIN.0;
        let mut changes = blobs.view().subscribe();
        let patience = blobs.policy.repair_after;
        blobs.view().synced().await;
        loop {
            let snapshot = Arc::clone(&changes.borrow_and_update());
            roster.see(&snapshot, Instant::now(), patience);
            let placement = roster.placement(blobs.policy.replicas);
            let changed = done.as_ref() != Some(&placement);
            if changed || due <= Instant::now() {
                let pass = blobs.pass(&placement).await;
                if pass.copied + pass.removed > 0 {
                    tracing::info!(
                        copied = pass.copied,
                        removed = pass.removed,
                        failed = pass.failed,
                        "blobs follow the ring"
                    );
                }
                again = if changed { AGAIN.0 } else { (again * 2).min(AGAIN.1) };
                due = Instant::now() + if pass.is_settled() { ANYWAY } else { again };
                done = Some(placement);
            }
            let next = roster.next_loss(patience).map_or(due, |loss| loss.min(due));
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(next) => {}
            }
            // A node that comes and goes meanwhile is one that may come back.
            let settled = Instant::now() + SETTLE;
            while let Ok(Ok(())) = tokio::time::timeout_at(settled, changes.changed()).await {
                let snapshot = Arc::clone(&changes.borrow_and_update());
                roster.see(&snapshot, Instant::now(), patience);
            }
        }
    };
    tokio::select! {
        () = repairing => {}
        () = stop.cancelled() => {}
    }
}

/// Heals damaged blobs as they are found, until `stop`.
pub(crate) async fn heal(blobs: Arc<Blobs>, found: Arc<Mutex<Option<mpsc::Receiver<BlobName>>>>, stop: CancellationToken) {
    // Taken by the first start: should it panic, the next scrub finds what is left.
    let Some(mut found) = found.lock().take() else { return };
    let healing = async {
        while let Some(name) = found.recv().await {
            blobs.heal(&name).await;
        }
    };
    tokio::select! {
        () = healing => {}
        () = stop.cancelled() => {}
    }
}

/// Reads all blobs again and again, until `stop`.
pub(crate) async fn scrub(blobs: Arc<Blobs>, stop: CancellationToken) {
    let every = blobs.policy.scrub_interval;
    let scrubbing = async {
        tokio::time::sleep(every.min(FIRST_SCRUB)).await;
        loop {
            let began = Instant::now();
            let (read, damaged) = blobs.scrub().await;
            tracing::info!(read, damaged, took = ?began.elapsed(), "blobs scrubbed");
            tokio::time::sleep_until(began + every).await;
        }
    };
    tokio::select! {
        () = scrubbing => {}
        () = stop.cancelled() => {}
    }
}
