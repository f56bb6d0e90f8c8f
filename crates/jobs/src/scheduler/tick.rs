//! What the passing of time changes.

use api::task::WorkId;
use api::{ErrorCode, JobId, NodeId, Problem};

use super::Scheduler;
use crate::Millis;
use crate::run::Phase;
use crate::worker::{Life, Worker};

impl Scheduler {
    /// Looks at every deadline. Call it a few times a second.
    pub fn tick(&mut self, now: Millis) {
        self.lose_silent_workers(now);
        self.lose_absent_workers(now);
        self.give_up_missing_work(now);
        self.fail_without_workers(now);
        self.expire_jobs(now);
        self.wake_jobs(now);
        self.find_stragglers(now);
    }

    fn lose_silent_workers(&mut self, now: Millis) {
        let limit = self.policy.worker_timeout;
        let silent = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.seen + limit <= now)
            .map(|(id, _)| id.clone());
        for worker in silent.collect::<Vec<_>>() {
            self.lose_worker(now, &worker, &format!("it was silent for {} s", limit / 1_000));
        }
        if self.workers.is_empty() {
            self.without_workers.get_or_insert(now);
        }
    }

    fn give_up_missing_work(&mut self, now: Millis) {
        let grace = self.policy.missing_grace;
        let overdue = |(id, worker): (&NodeId, &Worker)| {
            let life = Life {
                worker: id.clone(),
                boot: worker.boot,
            };
            worker.overdue(now, grace).into_iter().map(move |work| (life.clone(), work))
        };
        let all: Vec<(Life, WorkId)> = self.workers.iter().flat_map(overdue).collect();
        for (life, work) in all {
            self.undelivered(now, &life.worker, &[work]);
        }
    }

    fn fail_without_workers(&mut self, now: Millis) {
        let Some(since) = self.without_workers else { return };
        let limit = self.policy.no_worker_timeout;
        let mut endings = Vec::new();
        for run in self.jobs.values_mut().filter(|run| !matches!(run.phase, Phase::Finishing)) {
            if since.max(run.accepted) + limit <= now {
                let detail = format!(
                    "no worker has been connected for {} s; start one and submit the job again",
                    limit / 1_000
                );
                endings.extend(run.fail(Problem::new(ErrorCode::Unavailable, detail), now));
            }
        }
        endings.into_iter().for_each(|ending| self.finish(now, ending));
    }

    fn expire_jobs(&mut self, now: Millis) {
        let endings: Vec<_> = self.jobs.values_mut().filter_map(|run| run.expire(now)).collect();
        endings.into_iter().for_each(|ending| self.finish(now, ending));
    }

    pub(super) fn wake_jobs(&mut self, now: Millis) {
        for job in self.queue.due(now) {
            self.requeue(now, job);
        }
    }

    /// Speculative execution (Dean and Ghemawat, "MapReduce", OSDI 2004, section 3.6).
    fn find_stragglers(&mut self, now: Millis) {
        let running = |(job, run): (&JobId, &crate::run::Run)| match &run.phase {
            Phase::Running(stages) => stages
                .stragglers(now)
                .into_iter()
                .map(|(stage, p)| (*job, stage, p))
                .collect(),
            Phase::Planning(_) | Phase::Finishing => Vec::new(),
        };
        self.stragglers = if self.workers.len() > 1 {
            self.jobs.iter().flat_map(running).collect()
        } else {
            Default::default()
        };
    }
}
