//! What becomes durable, and what follows from that.

use std::time::Duration;

use api::JobId;
use tracing::{info, warn};

use super::super::ledger::Written;
use super::super::pages::{self, Page, What, Write, durable};
use super::{Actor, Deposed};
use crate::app::jobs::{metrics, trace};

/// Ended jobs remembered, so that a reader of their old record cannot start them again.
const REMEMBERED: usize = 16_384;

impl Actor {
    /// Writes what is newer in memory, unless a write is under way: then the end of that one starts the next.
    pub(super) fn write(&mut self, job: JobId) {
        let Some(page) = self.pages.get_mut(&job).filter(|page| !page.writing) else {
            return;
        };
        let (ledger, replaces) = (self.ledger.clone(), page.revision);
        if let Some(ending) = &page.ending {
            page.writing = true;
            self.writes
                .spawn(pages::end(self.jobs.clone(), ledger, (**ending).clone(), replaces));
        } else if page.dirty.take().is_some()
            && let Some(save) = self.scheduler.save(job)
        {
            page.writing = true;
            self.writes.spawn(pages::write(ledger, save, replaces));
        }
    }

    pub(super) fn written(&mut self, write: Write) -> Result<(), Deposed> {
        let Write { job, what, outcome } = write;
        let now = self.clock.now();
        let Some(page) = self.pages.get_mut(&job) else { return Ok(()) };
        page.writing = false;
        if outcome.is_ok() {
            page.pause = (0, 0);
            if let Some(lasted_ms) = self.trouble.ended(now) {
                info!(lasted_ms, "records of jobs can be written again");
            }
        }
        match (outcome, what) {
            (_, What::Refused(problem)) => {
                let record = self.scheduler.refuse_end(now, job, problem);
                if let (Some(record), Some(ending)) = (record, &mut page.ending) {
                    ending.record = record;
                    ending.parts.clear();
                }
                self.write(job);
            }
            (Ok(Written::At(_) | Written::Final), What::End) => self.ended(job),
            (Ok(Written::At(revision)), What::Version(version)) => {
                page.revision = revision;
                page.release(version);
                self.scheduler.saved(now, job, version);
                if page.ending.is_some() {
                    self.write(job);
                }
            }
            (Ok(Written::Behind(revision)), _) => {
                page.revision = revision;
                page.touch(now);
                self.write(job);
            }
            (Ok(Written::Final | Written::Deposed), _) => return Err(Deposed),
            (Ok(Written::Contended), _) => page.touch(now),
            (Err(error), _) => {
                // A later tick tries again; until then the job has not ended for anybody.
                page.failed(now);
                if let Some(untold) = self.trouble.failed(now) {
                    warn!(
                        %job, %error, untold,
                        "a job's record cannot be written now: jobs go on, and none ends before it can; tried again every few seconds, told once a minute"
                    );
                }
            }
        }
        Ok(())
    }

    /// The end of a job is durable: now it may be told.
    fn ended(&mut self, job: JobId) {
        let Some(Page {
            ending: Some(ending),
            cancelled,
            held,
            ..
        }) = self.pages.remove(&job)
        else {
            return;
        };
        let (record, now) = (ending.record, self.clock.now());
        self.scheduler.finished(now, job);
        let took = record
            .finished_at_ms
            .unwrap_or_default()
            .saturating_sub(record.submitted_at_ms);
        info!(%job, state = metrics::state_name(record.state), took_ms = took, "a job ended");
        self.jobs.inner.metrics.job_ended(record.state, Duration::from_millis(took));
        trace::ended(self.jobs.inner.peers.tracer(), &record);
        for answer in cancelled {
            answer.send(Ok(record.clone())).ok();
        }
        for (_, answer) in held {
            answer.send(durable(true)).ok();
        }
        let stored = self.stored.entry(record.namespace.clone()).or_default();
        stored.jobs += 1;
        stored.bytes += record.result.as_ref().map_or(0, |result| result.bytes);
        self.next_sweep = self.next_sweep.min(self.jobs.expiry(&record).max(now));
        self.ended.insert(job);
        self.ended_order.push_back(job);
        if self.ended_order.len() > REMEMBERED
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}
