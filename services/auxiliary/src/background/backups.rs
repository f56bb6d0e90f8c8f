//! A backup every so often.

use std::sync::Arc;
use std::time::Duration;

use cache::owner::Owner;
use lifecycle::CancellationToken;
use store::backup::BackupId;
use tokio::time::MissedTickBehavior;

use crate::app::backups::Backups;

/// Writes backups until `stop`; a failure is logged where it happens, and the next round tries again.
pub(crate) async fn run(backups: Arc<Backups>, owner: Arc<Owner>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, when there is nothing new to keep yet.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        drop(backups.write(BackupId::new_now(), &owner).await);
    }
}
