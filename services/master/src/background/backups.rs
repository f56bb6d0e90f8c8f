//! The leader's rounds of backups.

use std::time::Duration;

use cluster::LeaderState;
use lifecycle::CancellationToken;
use tokio::sync::watch;
use tracing::warn;

use crate::app::audit::Auditor;
use crate::app::backups::Backups;

impl Backups {
    /// Makes a backup every `interval` while this master leads, until `stop`. A new leader waits for one interval first.
    pub async fn run(
        &self,
        mut leadership: watch::Receiver<LeaderState>,
        interval: Duration,
        auditor: &Auditor,
        stop: CancellationToken,
    ) {
        loop {
            let leads = leadership.borrow_and_update().token().is_some();
            let rounds = async {
                if !leads {
                    std::future::pending::<()>().await;
                }
                loop {
                    tokio::time::sleep(interval).await;
                    match self.make_periodic().await {
                        Ok(report) => {
                            let made = auditor
                                .did("backup")
                                .on(&report.id)
                                .with("complete", report.complete.to_string());
                            auditor.record(made.with("entries", report.entries.to_string()));
                        }
                        Err(failure) => warn!(%failure, "no backup this time"),
                    }
                }
            };
            tokio::select! {
                () = rounds => {}
                changed = leadership.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }
}
