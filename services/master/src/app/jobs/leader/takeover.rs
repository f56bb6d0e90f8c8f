//! The first thing a new leader does: find the jobs its predecessor left, with what was durable of each.

use std::time::Duration;

use api::job::JobState;
use api::task::StageGraph;
use control::Revision;
use futures::{StreamExt, TryStreamExt};
use jobs::{JobRecord, TaskChunk};

use super::clock::wall;
use super::ledger::{Ledger, Written};
use crate::app::jobs::records::{readable, records_page};
use crate::app::jobs::{Error, saved};

/// Pause before trying again.
pub(super) const RETRY: Duration = Duration::from_millis(500);
/// Records written at once; the store commits them together.
const CONCURRENCY: usize = 32;

/// A job that has not ended.
pub(super) struct Unfinished {
    pub(super) record: JobRecord,
    pub(super) revision: Revision,
    /// Its graph and its tasks, if it was planned.
    pub(super) planned: Option<(StageGraph, Vec<TaskChunk>)>,
}

/// Jobs that have not ended, each with this term durable, so that attempts of earlier ones are known as such.
pub(super) async fn take_over(ledger: &Ledger) -> Result<Vec<Unfinished>, Error> {
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
    futures::stream::iter(unfinished)
        .map(|(record, revision)| take(ledger, record, revision))
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

async fn take(ledger: &Ledger, record: JobRecord, revision: Revision) -> Result<Unfinished, Error> {
    // What was queued has nothing durable but its record, and there may be many of them.
    let graph = match record.state {
        JobState::Queued => None,
        _ => saved::load_plan(&*ledger.store, record.id, record.run)
            .await
            .or_else(|error| unreadable(&record, error))?,
    };
    let (record, goes_on) = record.taken_over(wall(), graph.is_some());
    let revision = match ledger.write(&record, revision, Vec::new()).await? {
        Written::At(revision) => revision,
        Written::Behind(_) | Written::Final | Written::Contended | Written::Deposed => return Err(Error::NotLeader),
    };
    let planned = match graph.filter(|_| goes_on) {
        Some(graph) => Some((graph, saved::load_tasks(&*ledger.store, record.id, record.run).await?)),
        None => None,
    };
    Ok(Unfinished {
        record,
        revision,
        planned,
    })
}

/// A plan that cannot be read is made anew; a store that does not answer is asked again.
fn unreadable(record: &JobRecord, error: Error) -> Result<Option<StageGraph>, Error> {
    if matches!(error, Error::Record { .. }) {
        tracing::error!(job = %record.id, %error, "a plan cannot be read; the job is planned anew");
        return Ok(None);
    }
    Err(error)
}
