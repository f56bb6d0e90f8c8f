//! Following one job until it ends.

use std::time::Duration;

use api::JobId;
use control::{Consistency, Event, Watch};
use futures::StreamExt;
use jobs::JobRecord;
use tokio::time::timeout;

use super::records::read;
use super::{Error, Jobs, keys};

/// The changes of a job's record: the present first, then each one, until the final one.
pub struct Follower {
    jobs: Jobs,
    job: JobId,
    watch: Option<Watch>,
    ended: bool,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("job", &self.job)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// The next change; none after the final one.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when the record is removed meanwhile, or when the store fails.
    pub async fn next(&mut self) -> Result<Option<JobRecord>, Error> {
        if self.ended {
            return Ok(None);
        }
        let next = match self.watch.take() {
            None => self.begin().await,
            Some(watch) => self.wait(watch).await,
        };
        self.ended = next.as_ref().map_or(true, |record| record.state.is_final());
        next.map(Some)
    }

    async fn begin(&mut self) -> Result<JobRecord, Error> {
        let key = keys::record(self.job);
        let store = &self.jobs.inner.store;
        let entry = store
            .get(&key, Consistency::Linearizable)
            .await?
            .ok_or(Error::NotFound(self.job))?;
        let record = read(&entry)?;
        if !record.state.is_final() {
            self.watch = Some(store.watch(key, entry.mod_revision + 1).await?);
        }
        Ok(record)
    }

    async fn wait(&mut self, mut watch: Watch) -> Result<JobRecord, Error> {
        match watch.next().await {
            Some(Ok(events)) => match events.last() {
                Some(Event::Put(entry)) => {
                    let record = read(entry);
                    self.watch = Some(watch);
                    record
                }
                Some(Event::Delete { .. }) => Err(Error::NotFound(self.job)),
                None => self.begin().await,
            },
            // The watch fell behind or broke: the record itself is still the truth.
            Some(Err(_)) | None => self.begin().await,
        }
    }
}

impl Jobs {
    /// Follows a job.
    #[must_use]
    pub fn follow(&self, job: JobId) -> Follower {
        Follower {
            jobs: self.clone(),
            job,
            watch: None,
            ended: false,
        }
    }

    /// The job as it stands when it has ended, or after `patience`.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when the store fails.
    pub async fn wait(&self, job: JobId, patience: Duration) -> Result<JobRecord, Error> {
        let mut follower = self.follow(job);
        let to_the_end = async {
            let mut last = None;
            while let Some(record) = follower.next().await? {
                last = Some(record);
            }
            last.ok_or(Error::NotFound(job))
        };
        match timeout(patience, to_the_end).await {
            Ok(outcome) => outcome,
            Err(_) => self.record(job).await,
        }
    }
}
