//! Going on where another leader stopped.
//!
//! What was durable is known; what was given out and not reported is not. Workers tell it themselves: with their polls (what they
//! run) and with their reports, which they repeat until told that they are durable. Therefore jobs that were taken over start
//! nothing new until all known workers have polled, or for a short while.

use std::collections::BTreeSet;

use api::task::{StageGraph, WorkId};
use api::{JobId, NodeId};

use super::Scheduler;
use crate::Millis;
use crate::command::Command;
use crate::record::JobRecord;
use crate::run::{Phase, Run};
use crate::save::TaskChunk;
use crate::worker::Life;

impl Scheduler {
    /// Workers that were there before this term; give them before jobs are resumed.
    pub fn expect_workers(&mut self, workers: impl IntoIterator<Item = NodeId>) {
        self.awaited = workers.into_iter().collect();
    }

    /// Goes on with a job that another leader had, from what was durable of its graph and its tasks. A job it has already stays
    /// as it is.
    pub fn resume(&mut self, now: Millis, record: JobRecord, planned: Option<(StageGraph, Vec<TaskChunk>)>) {
        let job = record.id;
        if self.jobs.contains_key(&job) {
            return;
        }
        let run = Run::resumed(record, planned, now, &self.policy);
        if let Phase::Running(stages) = &run.phase {
            let known = |life: &Life| self.workers.get(&life.worker).is_some_and(|worker| worker.boot == life.boot);
            let absent: BTreeSet<Life> = stages.holders().filter(|life| !known(life)).collect();
            for life in absent {
                self.absent.entry(life).or_insert(now);
            }
        }
        self.jobs.insert(job, run);
        self.requeue(now, job);
        self.end_if_complete(now, job);
    }

    /// All of the result was durable, only the end was not.
    fn end_if_complete(&mut self, now: Millis, job: JobId) {
        let policy = &self.policy;
        let ending = self.jobs.get_mut(&job).and_then(|run| run.succeed_if_complete(now, policy));
        if let Some(ending) = ending {
            self.finish(now, ending);
        }
    }

    /// A worker polls for the first time, as far as this scheduler knows.
    pub(super) fn welcome(&mut self, now: Millis, life: &Life) {
        let other_lives = self
            .absent
            .keys()
            .filter(|absent| absent.worker == life.worker && absent.boot != life.boot);
        for gone in other_lives.cloned().collect::<Vec<_>>() {
            self.lose_life(now, &gone, "it was restarted");
        }
        self.absent.remove(life);
        if self.awaited.remove(&life.worker) && self.awaited.is_empty() {
            let until = now + self.policy.resume_settle;
            let quiet: Vec<JobId> = self
                .jobs
                .iter()
                .filter(|(_, run)| run.quiet_until > until)
                .map(|(job, _)| *job)
                .collect();
            for job in quiet {
                if let Some(run) = self.jobs.get_mut(&job) {
                    run.quiet_until = until;
                    self.requeue(now, job);
                }
            }
        }
    }

    /// Takes in what a worker runs and an earlier leader gave it.
    pub(super) fn adopt_running(&mut self, now: Millis, life: &Life, running: &[WorkId]) {
        for work in running {
            self.adopt(now, life, work);
        }
    }

    /// Takes in work of an earlier leader, if it still counts; whether it does.
    pub(super) fn adopt(&mut self, now: Millis, life: &Life, work: &WorkId) -> bool {
        let Some(run) = self.jobs.get_mut(&work.job()) else {
            return false;
        };
        if run.is_running(work, life) || !run.adopt(work, life, now) {
            return false;
        }
        run.participants.insert(life.worker.clone());
        self.requeue(now, work.job());
        self.outbox.push(Command::Persist(work.job()));
        true
    }

    /// Workers that hold outputs and did not come back.
    pub(super) fn lose_absent_workers(&mut self, now: Millis) {
        let limit = self.policy.worker_timeout;
        let gone = self.absent.iter().filter(|(_, since)| **since + limit <= now);
        for life in gone.map(|(life, _)| life.clone()).collect::<Vec<_>>() {
            self.lose_life(now, &life, &format!("it was silent for {} s", limit / 1_000));
        }
    }
}
