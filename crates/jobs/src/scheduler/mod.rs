//! The scheduler: all live jobs and all live workers, and who gets the next slot.
//!
//! Callers feed it what happens ([`Scheduler::submit`], [`Scheduler::poll`], [`Scheduler::report`], [`Scheduler::tick`], …) and
//! carry out what [`Scheduler::drain`] gives back.

mod offer;
mod report;
mod tick;

use std::collections::BTreeMap;

use api::task::{PollRequest, WorkId};
use api::{BootId, JobId, NodeId};
use bytes::Bytes;

use crate::command::{Command, Ending, TaskResult};
use crate::record::JobRecord;
use crate::run::{Phase, Run};
use crate::task::Setback;
use crate::worker::{Life, Worker};
use crate::{Millis, Policy};

/// Why a job cannot be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// It never was, or its end is durable.
    #[error("the job is not live")]
    NotLive,
    /// Its end is being made durable.
    #[error("the job is at its end already")]
    Ending,
}

/// All live jobs and workers of the leader.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    jobs: BTreeMap<JobId, Run>,
    workers: BTreeMap<NodeId, Worker>,
    /// Since when there has been no worker.
    without_workers: Option<Millis>,
    /// Slots given out so far; the clock of the round robin.
    served: u64,
    outbox: Vec<Command>,
}

impl Scheduler {
    /// An empty one.
    #[must_use]
    pub fn new(policy: Policy, now: Millis) -> Self {
        Self {
            policy,
            jobs: BTreeMap::new(),
            workers: BTreeMap::new(),
            without_workers: Some(now),
            served: 0,
            outbox: Vec::new(),
        }
    }

    /// Takes on a job whose record is durable. A job it has already stays as it is.
    pub fn submit(&mut self, now: Millis, record: JobRecord) {
        let policy = &self.policy;
        self.jobs.entry(record.id).or_insert_with(|| Run::new(record, now, policy));
    }

    /// Ends a job; the workers are told at their next poll.
    ///
    /// # Errors
    /// When there is nothing to cancel.
    pub fn cancel(&mut self, now: Millis, job: JobId) -> Result<(), CancelError> {
        let run = self.jobs.get_mut(&job).ok_or(CancelError::NotLive)?;
        let ending = run.cancel(now).ok_or(CancelError::Ending)?;
        self.finish(ending);
        Ok(())
    }

    /// The end of a job is durable: forgets it, and lets the workers forget it.
    pub fn finished(&mut self, now: Millis, job: JobId) {
        if self.jobs.get(&job).is_none_or(|run| !matches!(run.phase, Phase::Finishing)) {
            return;
        }
        let participants = self.jobs.remove(&job).map(|run| run.participants).unwrap_or_default();
        let until = now + self.policy.forget_for;
        for worker in participants {
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.forget.insert(job, until);
            }
        }
    }

    /// Takes in a poll as a sign of life and of what the worker runs. Ask [`Scheduler::offer`] for the answer.
    pub fn poll(&mut self, now: Millis, poll: &PollRequest) {
        if self.workers.get(&poll.worker).is_some_and(|known| known.boot != poll.boot_id) {
            self.lose_worker(now, &poll.worker, "it was restarted");
        }
        self.without_workers = None;
        let life = Life {
            worker: poll.worker.clone(),
            boot: poll.boot_id,
        };
        let jobs = &self.jobs;
        let worker = self
            .workers
            .entry(poll.worker.clone())
            .or_insert_with(|| Worker::new(poll, now));
        worker.heard(poll, now, |work| {
            jobs.get(&work.job()).is_some_and(|run| run.is_running(work, &life))
        });
    }

    /// A sign of life between polls: the connection of a poll that is held back is still open.
    pub fn touch(&mut self, now: Millis, worker: &NodeId, boot: BootId) {
        if let Some(worker) = self.workers.get_mut(worker).filter(|known| known.boot == boot) {
            worker.seen = now;
        }
    }

    /// The answer to a poll could not be sent: gives its work to somebody else.
    pub fn undelivered(&mut self, now: Millis, worker: &NodeId, work: &[WorkId]) {
        let Some(known) = self.workers.get_mut(worker) else { return };
        let life = Life {
            worker: worker.clone(),
            boot: known.boot,
        };
        for one in work {
            known.release_slot(one);
        }
        for one in work {
            if self.jobs.get(&one.job()).is_some_and(|run| run.is_running(one, &life)) {
                self.set_back(now, one, Setback::Undelivered, worker, "the order did not reach it");
            }
        }
    }

    /// What is to be done, in order.
    pub fn drain(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.outbox)
    }

    /// The record of a live job, up to date.
    pub fn record(&mut self, job: JobId) -> Option<&JobRecord> {
        let run = self.jobs.get_mut(&job)?;
        run.refresh_progress();
        Some(&run.record)
    }

    /// Live jobs.
    #[must_use]
    pub fn live_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Live workers.
    #[must_use]
    pub fn live_workers(&self) -> usize {
        self.workers.len()
    }

    /// Slots a worker has taken; whoever has fewest is best asked first.
    #[must_use]
    pub fn busy_slots(&self, worker: &NodeId) -> usize {
        self.workers.get(worker).map_or(0, |known| known.busy.len())
    }

    /// Encoded plan of a stage of a live job.
    #[must_use]
    pub fn stage_plan(&self, job: JobId, stage: u32) -> Option<Bytes> {
        match &self.jobs.get(&job)?.phase {
            Phase::Running(stages) => stages.plan(stage).cloned(),
            Phase::Planning(_) | Phase::Finishing => None,
        }
    }

    fn finish(&mut self, ending: Ending) {
        self.outbox.push(Command::Finish(Box::new(ending)));
    }

    fn set_back(&mut self, now: Millis, work: &WorkId, setback: Setback, worker: &NodeId, why: &str) {
        let Some(run) = self.jobs.get_mut(&work.job()) else { return };
        let ending = run.set_back(work, setback, worker, why, now, &self.policy);
        let result = match setback {
            Setback::Failure => TaskResult::Failed,
            Setback::Fetch => TaskResult::FetchFailed,
            Setback::Undelivered => TaskResult::Lost,
        };
        self.outbox.push(Command::TaskEnded(result));
        match ending {
            Some(ending) => self.finish(ending),
            None => self.outbox.push(Command::Persist(work.job())),
        }
    }

    /// A worker is gone, with all it ran and all it kept.
    fn lose_worker(&mut self, now: Millis, worker: &NodeId, why: &str) {
        let Some(gone) = self.workers.remove(worker) else { return };
        let life = Life {
            worker: worker.clone(),
            boot: gone.boot,
        };
        let work: Vec<WorkId> = self.jobs.values().flat_map(|run| run.work_on(&life)).collect();
        for one in &work {
            self.set_back(now, one, Setback::Failure, worker, &format!("the worker was lost: {why}"));
        }
        for run in self.jobs.values_mut() {
            if let Phase::Running(stages) = &mut run.phase {
                stages.lose_outputs(&life);
                stages.recompute_lost(now);
            }
        }
    }
}
