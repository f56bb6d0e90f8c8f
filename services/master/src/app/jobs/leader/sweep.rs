//! Regular housekeeping over all records: ended jobs go when their time is over, and jobs that were accepted without the
//! scheduler's knowledge (their acceptance had an unknown outcome) are found.

use std::collections::BTreeMap;

use control::Revision;
use jobs::{JobRecord, Millis, PartLocation};

use super::clock::{millis, wall};
use super::ledger::Ledger;
use crate::app::jobs::quotas::Stored;
use crate::app::jobs::records::{readable, records_page};
use crate::app::jobs::{Error, Jobs};

/// Time between rounds, at most.
const INTERVAL: Millis = 60_000;
/// And at least, however short results live.
const SHORTEST: Millis = 500;

/// What a round found.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Jobs that have not ended.
    pub(super) live: Vec<(JobRecord, Revision)>,
    /// Ended jobs that stay, by namespace.
    pub(super) stored: BTreeMap<String, Stored>,
    /// When the next one of them is to go.
    pub(super) next: Option<Millis>,
}

impl Jobs {
    /// Time between rounds: often enough for short lives of results.
    pub(super) fn sweep_interval(&self) -> Millis {
        (millis(self.inner.result_ttl) / 4).clamp(SHORTEST, INTERVAL)
    }

    /// When an ended job is to go.
    pub(super) fn expiry(&self, record: &JobRecord) -> Millis {
        let ttl = record
            .spec
            .result_ttl
            .map_or_else(|| millis(self.inner.result_ttl), |ttl| ttl.saturating_mul(1_000));
        record.finished_at_ms.unwrap_or_default().saturating_add(ttl)
    }

    /// One round.
    pub(super) async fn sweep(&self, ledger: &Ledger) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = records_page(&*ledger.store, after.take()).await?;
            for entry in &page.items {
                let Some(record) = readable(entry) else { continue };
                if !record.state.is_final() {
                    swept.live.push((record, entry.mod_revision));
                    continue;
                }
                let expiry = self.expiry(&record);
                if expiry <= wall() {
                    self.remove(ledger, &record).await?;
                    continue;
                }
                swept.next = Some(swept.next.map_or(expiry, |next| next.min(expiry)).max(wall() + SHORTEST));
                let stored = swept.stored.entry(record.namespace.clone()).or_default();
                stored.jobs += 1;
                stored.bytes += record.result.as_ref().map_or(0, |result| result.bytes);
            }
            match page.items.last().filter(|_| page.more) {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(swept),
            }
        }
    }

    async fn remove(&self, ledger: &Ledger, record: &JobRecord) -> Result<(), Error> {
        // The files of a dataset are the dataset's.
        let own = record.parts.iter().filter(|_| record.output.is_none());
        for part in own {
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
