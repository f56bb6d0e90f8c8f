//! A backup every so often.

use std::sync::Arc;
use std::time::Duration;

use cache::owner::Owner;
use lifecycle::CancellationToken;
use store::backup::BackupId;

use crate::app::backups::Backups;

/// Writes backups until `stop`; a failure is logged where it happens, and the next round tries again.
pub(crate) async fn run(backups: Arc<Backups>, owner: Arc<Owner>, every: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.cancelled() => return,
        }
        drop(backups.write(BackupId::new_now(), &owner).await);
    }
}
