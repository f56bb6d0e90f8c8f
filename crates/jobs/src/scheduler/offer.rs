//! Who gets the next slot: higher priority first, then the job that was served longest ago, then the older one.

use std::collections::BTreeSet;

use api::job::JobState;
use api::task::{Assignment, PollResponse, TaskId, WorkId};
use api::{JobId, NodeId};

use super::Scheduler;
use crate::Millis;
use crate::command::Command;
use crate::run::{Phase, Run};
use crate::worker::Life;

impl Scheduler {
    /// The answer to a worker's poll, if there is something that cannot wait: new work, or work to stop.
    pub fn offer(&mut self, now: Millis, worker: &NodeId) -> Option<PollResponse> {
        let start = self.assign(now, worker);
        let cancel = self.unwanted(worker);
        let known = self.workers.get(worker)?;
        let urgent = !start.is_empty() || cancel.iter().any(|work| !known.told.contains(work));
        urgent.then(|| self.response(now, worker, start, cancel))
    }

    /// The answer to a worker's poll that has been held back long enough.
    pub fn answer(&mut self, now: Millis, worker: &NodeId) -> PollResponse {
        let start = self.assign(now, worker);
        let cancel = self.unwanted(worker);
        self.response(now, worker, start, cancel)
    }

    fn response(&mut self, now: Millis, worker: &NodeId, start: Vec<Assignment>, cancel: Vec<WorkId>) -> PollResponse {
        let Some(known) = self.workers.get_mut(worker) else {
            return PollResponse {
                start,
                cancel,
                forget: Vec::new(),
            };
        };
        known.told.extend(cancel.iter().copied());
        known.forget.retain(|_, until| now < *until);
        let mut forget: BTreeSet<JobId> = known.forget.keys().copied().collect();
        forget.extend(cancel.iter().map(WorkId::job).filter(|job| !self.jobs.contains_key(job)));
        PollResponse {
            start,
            cancel,
            forget: forget.into_iter().collect(),
        }
    }

    /// What a worker runs and nobody waits for.
    fn unwanted(&self, worker: &NodeId) -> Vec<WorkId> {
        let Some(known) = self.workers.get(worker) else {
            return Vec::new();
        };
        let life = Life {
            worker: worker.clone(),
            boot: known.boot,
        };
        let wanted = |run: &Run, work: &WorkId| run.is_running(work, &life) || run.is_done_by(work, &life);
        known
            .busy
            .iter()
            .filter(|work| !self.jobs.get(&work.job()).is_some_and(|run| wanted(run, work)))
            .copied()
            .collect()
    }

    fn assign(&mut self, now: Millis, worker: &NodeId) -> Vec<Assignment> {
        let free = self.workers.get(worker).map_or(0, |known| known.free_slots());
        // Half at a time while there are other workers, so that the first to ask does not get it all.
        let free = if self.workers.len() > 1 { free.div_ceil(2) } else { free };
        let mut start = Vec::new();
        while start.len() < free {
            let Some(assignment) = self.assign_one(now, worker) else {
                break;
            };
            start.push(assignment);
        }
        start
    }

    fn assign_one(&mut self, now: Millis, worker: &NodeId) -> Option<Assignment> {
        let workers = &self.workers;
        let others = |avoid: &BTreeSet<NodeId>| workers.keys().any(|id| !avoid.contains(id));
        let active = |run: &&Run| run.record.state != JobState::Queued && !matches!(run.phase, Phase::Finishing);
        let priorities: Vec<i32> = self
            .jobs
            .values()
            .filter(active)
            .map(|run| run.record.spec.priority)
            .collect();
        let admitted = |run: &Run| priorities.iter().filter(|p| **p >= run.record.spec.priority).count() < self.policy.max_active;
        let ready = |run: &Run| match &run.phase {
            Phase::Planning(_) if run.record.state == JobState::Queued && !admitted(run) => None,
            Phase::Planning(task) => task.may_start(now, worker, others, &self.policy).then_some(None),
            Phase::Running(stages) => stages.next_for(now, worker, others, &self.policy).map(Some),
            Phase::Finishing => None,
        };
        let turn = |run: &Run| (std::cmp::Reverse(run.record.spec.priority), run.served, run.record.id);
        let mut queue: Vec<&Run> = self.jobs.values().collect();
        queue.sort_by_key(|run| turn(run));
        let (job, position) = queue
            .into_iter()
            .find_map(|run| ready(run).map(|position| (run.record.id, position)))?;

        let life = Life {
            worker: worker.clone(),
            boot: self.workers.get(worker)?.boot,
        };
        let target_partitions = self.target_partitions();
        self.served += 1;
        let run = self.jobs.get_mut(&job)?;
        run.served = self.served;
        run.participants.insert(worker.clone());
        run.record.started_at_ms.get_or_insert(now);
        let assignment = match (&mut run.phase, position) {
            (Phase::Planning(task), _) => {
                let attempt = task.start(run.record.run, life);
                if run.record.state == JobState::Queued {
                    run.record.state = JobState::Planning;
                    self.outbox.push(Command::Persist(job));
                }
                let (query, tables) = (run.record.spec.query.clone(), run.record.spec.tables.clone());
                let tables = tables.into_iter().map(|(name, spec)| (name, spec.into())).collect();
                Assignment::Plan {
                    job,
                    attempt,
                    query,
                    tables,
                    target_partitions,
                    now_ms: run.record.submitted_at_ms,
                }
            }
            (Phase::Running(stages), Some((stage, partition))) => {
                let (attempt, inputs) = stages.start(stage, partition, run.record.run, life);
                let task = TaskId {
                    job,
                    stage,
                    partition,
                    attempt,
                };
                Assignment::Run {
                    task,
                    inputs,
                    last: stages.is_last(stage),
                    partitions: stages.partitions(stage),
                    dataset: None,
                    alone: false,
                }
            }
            (Phase::Running(_) | Phase::Finishing, _) => return None,
        };
        self.workers.get_mut(worker)?.take_slot(assignment.work());
        Some(assignment)
    }

    /// As many partitions as there are slots, within bounds.
    fn target_partitions(&self) -> u32 {
        let (least, most) = self.policy.partitions;
        let slots = self
            .workers
            .values()
            .fold(0_u32, |sum, worker| sum.saturating_add(worker.slots));
        slots.clamp(least, most)
    }
}
