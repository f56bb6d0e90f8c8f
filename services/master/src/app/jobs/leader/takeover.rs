//! The first thing a new leader does: find the jobs its predecessor left, and put them back into the queue.

use std::time::Duration;

use control::Revision;
use futures::{StreamExt, TryStreamExt};
use jobs::JobRecord;

use super::ledger::{Ledger, Written};
use crate::app::jobs::Error;
use crate::app::jobs::records::{readable, records_page};

/// Pause before trying again.
pub(super) const RETRY: Duration = Duration::from_millis(500);
/// Records written at once; the store commits them together.
const CONCURRENCY: usize = 32;

/// Jobs that have not ended, each with its next run durable, so that attempts of the last one are known as old.
pub(super) async fn take_over(ledger: &Ledger) -> Result<Vec<(JobRecord, Revision)>, Error> {
    let mut unfinished = Vec::new();
    let mut after = None;
    loop {
        let page = records_page(&*ledger.store, after.take()).await?;
        let entries = page
            .items
            .iter()
            .filter_map(|entry| Some((readable(entry)?, entry.mod_revision)));
        unfinished.extend(entries.filter(|(record, _)| !record.state.is_final()));
        match page.items.last().filter(|_| page.more) {
            Some(last) => after = Some(last.key.clone()),
            None => break,
        }
    }
    let requeue = |(record, revision): (JobRecord, Revision)| async move {
        let record = record.requeued();
        match ledger.write(&record, revision, &[], None).await? {
            Written::At(revision) => Ok((record, revision)),
            Written::Behind(_) | Written::Final | Written::Deposed => Err(Error::NotLeader),
        }
    };
    futures::stream::iter(unfinished)
        .map(requeue)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}
