//! Reading jobs: always from the control store, on any master.

use std::collections::VecDeque;
use std::sync::Arc;

use api::JobId;
use api::job::{JobList, JobState};
use control::{Consistency, ControlStore, KeyValue, Range};
use jobs::JobRecord;

use super::{Error, Jobs, keys};

/// Records read from the store at once.
const PAGE: usize = 500;

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only of this namespace, the default one is empty; of all without.
    pub namespace: Option<Arc<str>>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs with all of these labels.
    pub labels: Vec<(String, String)>,
    /// Only jobs of this name.
    pub name: Option<String>,
    /// Only jobs accepted at this time or later, Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Only jobs accepted before this time, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// Only jobs submitted before this one.
    pub after: Option<JobId>,
}

impl Listing {
    fn wants(&self, record: &JobRecord) -> bool {
        let labels = &record.spec.labels;
        self.namespace.as_ref().is_none_or(|only| *record.namespace == **only)
            && self.state.is_none_or(|state| state == record.state)
            && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.name.as_ref().is_none_or(|name| record.spec.name.as_ref() == Some(name))
            && self.since_ms.is_none_or(|since| record.submitted_at_ms >= since)
            && self.until_ms.is_none_or(|until| record.submitted_at_ms < until)
    }
}

impl Jobs {
    /// A job of a namespace.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it is another namespace's, or when the store does not answer.
    pub async fn get(&self, namespace: &str, job: JobId) -> Result<JobRecord, Error> {
        let record = self.record(job).await?;
        if record.namespace == namespace {
            Ok(record)
        } else {
            Err(Error::NotFound(job))
        }
    }

    /// A job of any namespace.
    pub async fn record(&self, job: JobId) -> Result<JobRecord, Error> {
        let entry = self.inner.store.get(&keys::record(job), Consistency::Linearizable).await?;
        read(&entry.ok_or(Error::NotFound(job))?)
    }

    /// Jobs, newest first: ids are ordered by time.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, listing: Listing) -> Result<JobList, Error> {
        let before = listing.after.map(keys::record);
        // The store lists oldest first: of what fits, the newest `limit` and one more are kept while all pass by.
        let mut newest: VecDeque<JobRecord> = VecDeque::with_capacity(listing.limit + 2);
        let mut after = None;
        loop {
            let page = records_page(&*self.inner.store, after.take()).await?;
            let known = page
                .items
                .iter()
                .take_while(|entry| before.as_ref().is_none_or(|before| entry.key < *before));
            for record in known.filter_map(readable) {
                if listing.wants(&record) {
                    newest.push_back(record);
                    if newest.len() > listing.limit + 1 {
                        newest.pop_front();
                    }
                }
            }
            match page.items.last().filter(|_| page.more) {
                Some(last) => after = Some(last.key.clone()),
                None => break,
            }
        }
        let more = newest.len() > listing.limit;
        let items: Vec<_> = newest.iter().rev().take(listing.limit).map(JobRecord::view).collect();
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(JobList { items, next })
    }
}

/// A page of records, oldest first, with where to go on.
pub(super) async fn records_page(
    store: &dyn ControlStore,
    after: Option<String>,
) -> Result<control::RangeResponse, control::Error> {
    let range = Range {
        prefix: keys::RECORDS.to_owned(),
        limit: PAGE,
        after,
    };
    store.range(range, Consistency::Linearizable).await
}

pub(super) fn read(entry: &KeyValue) -> Result<JobRecord, Error> {
    serde_json::from_slice(&entry.value).map_err(|source| Error::Record {
        key: entry.key.clone(),
        source,
    })
}

/// A record, or a line in the log: one damaged record must not hide the others.
pub(super) fn readable(entry: &KeyValue) -> Option<JobRecord> {
    read(entry)
        .inspect_err(|error| tracing::error!(key = %entry.key, %error, "a job's record cannot be read"))
        .ok()
}
