//! Regular housekeeping over all records: ended jobs go when their time is over, and jobs that were accepted without the
//! scheduler's knowledge (their acceptance had an unknown outcome) are found.

use std::time::Duration;

use control::Revision;
use jobs::{JobRecord, PartLocation};

use super::clock::{millis, wall};
use super::ledger::Ledger;
use crate::app::jobs::records::{readable, records_page};
use crate::app::jobs::{Error, Jobs};

/// Time between rounds, at most.
const INTERVAL: Duration = Duration::from_secs(60);

impl Jobs {
    /// Time between rounds: often enough for short lives of results.
    pub(super) fn sweep_interval(&self) -> Duration {
        (self.inner.result_ttl / 4).clamp(Duration::from_millis(200), INTERVAL)
    }

    /// One round; returns the jobs that have not ended.
    pub(super) async fn sweep(&self, ledger: &Ledger) -> Result<Vec<(JobRecord, Revision)>, Error> {
        let ttl = millis(self.inner.result_ttl);
        let mut live = Vec::new();
        let mut after = None;
        loop {
            let page = records_page(&*ledger.store, after.take()).await?;
            for entry in &page.items {
                let Some(record) = readable(entry) else { continue };
                if !record.state.is_final() {
                    live.push((record, entry.mod_revision));
                } else if record.finished_at_ms.unwrap_or_default().saturating_add(ttl) <= wall() {
                    self.remove(ledger, &record).await?;
                }
            }
            match page.items.last().filter(|_| page.more) {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(live),
            }
        }
    }

    async fn remove(&self, ledger: &Ledger, record: &JobRecord) -> Result<(), Error> {
        for part in &record.parts {
            if let PartLocation::Blob { name, .. } = part {
                self.remove_blob(name).await;
            }
        }
        if ledger.remove(record).await? {
            tracing::info!(job = %record.id, "an ended job was removed: its result's time is over");
        }
        Ok(())
    }
}
