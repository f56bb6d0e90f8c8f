//! The scheduler: all live jobs and all live workers, and who gets the next slot.
//!
//! Callers feed it what happens ([`Scheduler::submit`], [`Scheduler::poll`], [`Scheduler::report`], [`Scheduler::tick`], …) and
//! carry out what [`Scheduler::drain`] gives back.

mod figures;
mod offer;
mod report;
mod resume;
mod tick;

use std::collections::{BTreeMap, BTreeSet};

use api::task::{PollRequest, StageGraph, WorkId};
use api::{BootId, JobId, NodeId, Problem};
use bytes::Bytes;

use crate::command::{Command, Ending, TaskResult};
use crate::queue::{Queue, Ticket};
use crate::record::JobRecord;
use crate::run::{After, Phase, Run};
use crate::save::{Save, TaskChunk};
use crate::task::Setback;
use crate::worker::{Life, Worker};
use crate::{Millis, Policy};

pub use figures::Figures;

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
    queue: Queue,
    workers: BTreeMap<NodeId, Worker>,
    /// Since when there has been no worker.
    without_workers: Option<Millis>,
    /// Slots given out so far; the clock of the round robin.
    served: u64,
    /// Slow tasks that may be given to a second worker.
    stragglers: BTreeSet<(JobId, u32, u32)>,
    /// Workers that hold outputs of jobs taken over and have not polled, and since when they are waited for.
    absent: BTreeMap<Life, Millis>,
    /// Workers known before this term that have not polled in it; while there are any, jobs taken over start nothing new.
    awaited: BTreeSet<NodeId>,
    outbox: Vec<Command>,
}

impl Scheduler {
    /// An empty one.
    #[must_use]
    pub fn new(policy: Policy, now: Millis) -> Self {
        Self {
            policy,
            jobs: BTreeMap::new(),
            queue: Queue::default(),
            workers: BTreeMap::new(),
            without_workers: Some(now),
            served: 0,
            stragglers: BTreeSet::new(),
            absent: BTreeMap::new(),
            awaited: BTreeSet::new(),
            outbox: Vec::new(),
        }
    }

    /// Takes on a job whose record is durable. A job it has already stays as it is.
    pub fn submit(&mut self, now: Millis, record: JobRecord) {
        let (policy, job) = (&self.policy, record.id);
        self.jobs.entry(job).or_insert_with(|| Run::new(record, now, policy));
        self.requeue(now, job);
    }

    /// Has a job planned, and nothing more: the answer is a [`Command::DryRan`]. Nothing of it is to be made durable.
    pub fn dry_run(&mut self, now: Millis, record: JobRecord) {
        let job = record.id;
        let mut run = Run::new(record, now, &self.policy);
        run.is_dry = true;
        self.jobs.insert(job, run);
        self.requeue(now, job);
    }

    fn end_dry_run(&mut self, job: JobId, plan: Result<Box<StageGraph>, Problem>) {
        self.jobs.remove(&job);
        self.queue.remove(job);
        self.outbox.push(Command::DryRan(job, plan));
    }

    /// Ends a job; the workers are told at their next poll.
    ///
    /// # Errors
    /// When there is nothing to cancel.
    pub fn cancel(&mut self, now: Millis, job: JobId) -> Result<(), CancelError> {
        let run = self.jobs.get_mut(&job).ok_or(CancelError::NotLive)?;
        let ending = run.cancel(now).ok_or(CancelError::Ending)?;
        self.finish(now, ending);
        Ok(())
    }

    /// Ends a job with a problem that its driver found; nothing when it is at its end already.
    pub fn fail(&mut self, now: Millis, job: JobId, problem: Problem) {
        if let Some(ending) = self.jobs.get_mut(&job).and_then(|run| run.fail(problem, now)) {
            self.finish(now, ending);
        }
    }

    /// The end of a job is durable: forgets it, and lets the workers forget it.
    pub fn finished(&mut self, now: Millis, job: JobId) {
        if self.jobs.get(&job).is_none_or(|run| !matches!(run.phase, Phase::Finishing)) {
            return;
        }
        let participants = self.jobs.remove(&job).map(|run| run.participants).unwrap_or_default();
        self.queue.remove(job);
        let until = now + self.policy.forget_for;
        for worker in participants {
            if let Some(worker) = self.workers.get_mut(&worker) {
                worker.forget.insert(job, until);
            }
        }
    }

    /// A succeeded job could not be committed for good: it fails with `problem` instead. The new end is to be made durable.
    pub fn refuse_end(&mut self, now: Millis, job: JobId, problem: Problem) -> Option<JobRecord> {
        let run = self.jobs.get_mut(&job).filter(|run| matches!(run.phase, Phase::Finishing))?;
        run.record.state = api::job::JobState::Failed;
        run.record.error = Some(problem);
        run.record.finished_at_ms = Some(now);
        run.record.result = None;
        run.record.parts.clear();
        Some(run.record.clone())
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
        if !self.workers.contains_key(&poll.worker) {
            self.welcome(now, &life);
        }
        self.adopt_running(now, &life, &poll.running);
        let jobs = &self.jobs;
        let worker = self
            .workers
            .entry(poll.worker.clone())
            .or_insert_with(|| Worker::new(poll, now));
        worker.heard(poll, now, |work| {
            jobs.get(&work.job()).is_some_and(|run| run.is_running(work, &life))
        });
        self.hear_progress(poll);
    }

    /// How far the running tasks are, for people.
    fn hear_progress(&mut self, poll: &PollRequest) {
        for (work, progress) in poll.running.iter().zip(&poll.progress) {
            let WorkId::Task(task) = work else { continue };
            let Some(Phase::Running(stages)) = self.jobs.get_mut(&task.job).map(|run| &mut run.phase) else {
                continue;
            };
            if let Some(live) = stages.live_mut(task.stage, task.partition, task.attempt)
                && live.progress != *progress
            {
                live.progress = *progress;
                self.outbox.push(Command::Persist(task.job));
            }
        }
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

    /// Everything of a live job that is newer than its durable copy.
    pub fn save(&mut self, job: JobId) -> Option<Save> {
        self.jobs.get_mut(&job).map(Run::save)
    }

    /// A save is durable.
    pub fn saved(&mut self, now: Millis, job: JobId, version: u64) {
        if let Some(run) = self.jobs.get_mut(&job) {
            run.saved(version);
            self.requeue(now, job);
        }
    }

    /// Version of a live job; a save of that version or a later one has everything that is known now.
    #[must_use]
    pub fn version(&self, job: JobId) -> Option<u64> {
        self.jobs.get(&job).map(|run| run.journal.version())
    }

    /// Graph and tasks of a job that is running.
    #[must_use]
    pub fn tasks(&self, job: JobId) -> Option<(&StageGraph, Vec<TaskChunk>)> {
        match &self.jobs.get(&job)?.phase {
            Phase::Running(stages) => Some((&stages.graph, stages.chunks())),
            Phase::Planning(_) | Phase::Finishing => None,
        }
    }

    /// Says on which hosts blobs are, so that the tasks that read them start there.
    pub fn locate(&mut self, now: Millis, job: JobId, holders: impl Fn(&str) -> Vec<String>) {
        if let Some(Phase::Running(stages)) = self.jobs.get_mut(&job).map(|run| &mut run.phase) {
            stages.locate(holders);
            self.requeue(now, job);
        }
    }

    /// Encoded plan of a stage of a live job.
    #[must_use]
    pub fn stage_plan(&self, job: JobId, stage: u32) -> Option<Bytes> {
        match &self.jobs.get(&job)?.phase {
            Phase::Running(stages) => stages.plan(stage).cloned(),
            Phase::Planning(_) | Phase::Finishing => None,
        }
    }

    /// The plan of a live job as text.
    #[must_use]
    pub fn plan_text(&self, job: JobId) -> Option<String> {
        self.jobs.get(&job)?.plan_text()
    }

    fn finish(&mut self, now: Millis, ending: Ending) {
        let job = ending.record.id;
        if self.jobs.get(&job).is_some_and(|run| run.is_dry) {
            let cancelled = || Problem::new(api::ErrorCode::Unavailable, "the dry run was given up");
            return self.end_dry_run(job, Err(ending.record.error.unwrap_or_else(cancelled)));
        }
        self.outbox.push(Command::Finish(Box::new(ending)));
        self.requeue(now, job);
    }

    /// Puts a job into the queue where it belongs now; to be called after every change of it.
    fn requeue(&mut self, now: Millis, job: JobId) {
        let Some(run) = self.jobs.get_mut(&job) else {
            return self.queue.remove(job);
        };
        let standing = run.standing(now, &self.policy);
        let version = run.journal.version();
        if std::mem::replace(&mut run.told, version) != version && !matches!(run.phase, Phase::Finishing) {
            self.outbox.push(Command::Persist(job));
        }
        let ticket = Ticket {
            job,
            priority: run.record.spec.priority,
            namespace: run.record.namespace.as_str().into(),
            served: run.served,
            bytes: run.bytes,
        };
        self.queue.put(ticket, standing);
    }

    fn set_back(&mut self, now: Millis, work: &WorkId, setback: Setback, worker: &NodeId, why: &str) {
        let job = work.job();
        let Some(run) = self.jobs.get_mut(&job) else { return };
        let after = run.set_back(work, setback, worker, why, now, &self.policy);
        let result = match setback {
            Setback::Failure => TaskResult::Failed,
            Setback::Fetch => TaskResult::FetchFailed,
            Setback::Memory => TaskResult::OutOfMemory,
            Setback::WorkerLost | Setback::Undelivered => TaskResult::Lost,
        };
        self.outbox.push(Command::TaskEnded(result));
        match after {
            After::Ends(ending) => self.finish(now, *ending),
            After::GoesOn => {
                self.outbox.push(Command::Persist(job));
                self.requeue(now, job);
            }
        }
    }

    /// A worker is gone, with all it ran and all it kept.
    fn lose_worker(&mut self, now: Millis, worker: &NodeId, why: &str) {
        if let Some(gone) = self.workers.remove(worker) {
            let life = Life {
                worker: worker.clone(),
                boot: gone.boot,
            };
            self.lose_life(now, &life, why);
        }
    }

    fn lose_life(&mut self, now: Millis, life: &Life, why: &str) {
        self.absent.remove(life);
        let work: Vec<WorkId> = self.jobs.values().flat_map(|run| run.work_on(life)).collect();
        for one in &work {
            let detail = format!("the worker was lost: {why}");
            self.set_back(now, one, Setback::WorkerLost, &life.worker, &detail);
        }
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            let Some(Phase::Running(stages)) = self.jobs.get_mut(&job).map(|run| &mut run.phase) else {
                continue;
            };
            stages.lose_outputs(life);
            stages.recompute_lost(now);
            self.requeue(now, job);
        }
    }
}
