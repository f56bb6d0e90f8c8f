//! Who gets the next slot, and the answer to a poll.

use std::collections::BTreeSet;

use api::dataset::blob_prefix;
use api::job::JobState;
use api::task::{Assignment, PollResponse, TaskId, WorkId};
use api::{JobId, NodeId};

use super::Scheduler;
use crate::Millis;
use crate::command::Command;
use crate::record::NoteKind;
use crate::run::{Phase, Run};
use crate::stages::Candidate;
use crate::worker::Life;

/// What a job has to give: its planning, or a task of it.
type Position = Option<(u32, u32)>;

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
        let trace = |job: JobId| Some((job, self.jobs.get(&job)?.record.trace.as_ref()?.span.clone()));
        let traces = start.iter().filter_map(|assignment| trace(assignment.work().job())).collect();
        let Some(known) = self.workers.get_mut(worker) else {
            return PollResponse {
                start,
                cancel,
                traces,
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
            traces,
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
        self.wake_jobs(now);
        let mut start: Vec<Assignment> = self.assign_alone(now, worker).into_iter().collect();
        let free = self.workers.get(worker).map_or(0, |known| known.free_slots(&self.policy));
        // Half at a time while there are other workers, so that the first to ask does not get it all.
        let free = if self.workers.len() > 1 { free.div_ceil(2) } else { free };
        if self.is_left_out(now, worker) {
            return start;
        }
        while start.len() < free {
            let Some(assignment) = self.assign_one(now, worker) else {
                break;
            };
            start.push(assignment);
        }
        start
    }

    /// A worker on which tasks fail gets nothing for a while, as long as there is another.
    fn is_left_out(&self, now: Millis, worker: &NodeId) -> bool {
        let is_shunned = |id: &NodeId| self.workers.get(id).is_some_and(|known| known.is_shunned(now));
        let other = |(id, known): (&NodeId, &crate::worker::Worker)| id != worker && known.slots > 0 && !known.is_shunned(now);
        is_shunned(worker) && self.workers.iter().any(other)
    }

    /// A task that needs a worker of its own: an idle worker gets it; else the one that asks is emptied, one at a time.
    fn assign_alone(&mut self, now: Millis, worker: &NodeId) -> Option<Assignment> {
        let Some(job) = self.queue.first_alone() else {
            if let Some(known) = self.workers.get_mut(worker) {
                known.draining = false;
            }
            return None;
        };
        let somebody_drains = self.workers.iter().any(|(id, known)| known.draining && id != worker);
        let known = self.workers.get_mut(worker).filter(|known| known.slots > 0)?;
        if !known.busy.is_empty() {
            known.draining = known.draining || !somebody_drains;
            return None;
        }
        let Some(Phase::Running(stages)) = self.jobs.get(&job).map(|run| &run.phase) else {
            return None;
        };
        let position = stages.next_alone();
        self.workers.values_mut().for_each(|known| known.draining = false);
        position.and_then(|position| self.start(now, worker, job, Some(position)))
    }

    fn assign_one(&mut self, now: Millis, worker: &NodeId) -> Option<Assignment> {
        let (jobs, workers, policy) = (&self.jobs, &self.workers, &self.policy);
        let candidate = Candidate {
            id: worker,
            address: &workers.get(worker)?.address,
        };
        let others = |avoid: &BTreeSet<NodeId>| workers.keys().any(|id| !avoid.contains(id));
        let ready = |job: JobId| -> Option<Position> {
            match &jobs.get(&job)?.phase {
                Phase::Planning(task) => task.may_start(now, worker, others, policy).then_some(None),
                Phase::Running(stages) => stages.next_for(now, candidate, others, policy).map(Some),
                Phase::Finishing => None,
            }
        };
        match self.queue.first(policy, ready) {
            Some((job, position)) => self.start(now, worker, job, position),
            None => self.assign_twin(now, worker),
        }
    }

    /// With slots left over, a slow task of another worker.
    fn assign_twin(&mut self, now: Millis, worker: &NodeId) -> Option<Assignment> {
        let is_elsewhere = |(job, stage, partition): &&(JobId, u32, u32)| {
            let Some(Phase::Running(stages)) = self.jobs.get(job).map(|run| &run.phase) else {
                return false;
            };
            let task = stages.task(*stage, *partition).filter(|_| stages.has_inputs(*stage));
            task.is_some_and(|task| matches!(task.live(), [only] if only.on.worker != *worker) && !task.avoid.contains(worker))
        };
        let (job, stage, partition) = *self.stragglers.iter().find(is_elsewhere)?;
        self.stragglers.remove(&(job, stage, partition));
        let assignment = self.start(now, worker, job, Some((stage, partition)))?;
        self.outbox.push(Command::TwinStarted);
        if let Some(run) = self.jobs.get_mut(&job) {
            let work = assignment.work();
            let detail = "the task is much slower than the others of its stage: a second worker runs it too";
            run.record.note(now, NoteKind::TwinStarted, Some(&work), Some(worker), detail);
        }
        Some(assignment)
    }

    fn start(&mut self, now: Millis, worker: &NodeId, job: JobId, position: Position) -> Option<Assignment> {
        let life = Life {
            worker: worker.clone(),
            boot: self.workers.get(worker)?.boot,
        };
        let target_partitions = self.target_partitions();
        self.served += 1;
        let run = self.jobs.get_mut(&job)?;
        let factor = run.partition_factor();
        run.served = self.served;
        run.participants.insert(worker.clone());
        run.record.started_at_ms.get_or_insert(now);
        let (ready_since, alone, assignment) = match (&mut run.phase, position) {
            (Phase::Planning(task), _) => {
                let ready_since = if let crate::task::State::Pending { from } = task.state {
                    from
                } else {
                    now
                };
                let attempt = task.start(run.record.run, life, now);
                run.record.state = JobState::Planning;
                run.journal.changed();
                let (query, tables) = (run.record.spec.query.clone(), run.record.spec.tables.clone());
                let assignment = Assignment::Plan {
                    job,
                    attempt,
                    query,
                    tables: tables.into_iter().map(|(name, spec)| (name, spec.into())).collect(),
                    target_partitions: target_partitions.saturating_mul(factor),
                    now_ms: run.record.submitted_at_ms,
                    namespace: run.record.namespace.clone(),
                };
                (ready_since, false, assignment)
            }
            (Phase::Running(stages), Some((stage, partition))) => {
                let ready_since = stages.ready_since(stage, partition).unwrap_or(now);
                let alone = stages.task(stage, partition)?.alone;
                let (attempt, inputs) = stages.start(stage, partition, run.record.run, life, now)?;
                let last = stages.is_last(stage);
                let output = run.record.spec.output.as_ref().or(stages.graph.output.as_ref());
                let dataset = output
                    .filter(|_| last)
                    .map(|output| format!("{}{job}/", blob_prefix(&run.record.namespace, &output.dataset)));
                let assignment = Assignment::Run {
                    task: TaskId {
                        job,
                        stage,
                        partition,
                        attempt,
                    },
                    inputs,
                    last,
                    partitions: stages.partitions(stage),
                    dataset,
                    alone,
                };
                (ready_since, alone, assignment)
            }
            (Phase::Running(_) | Phase::Finishing, _) => return None,
        };
        self.workers.get_mut(worker)?.take_slot(assignment.work(), alone);
        self.outbox.push(Command::HandedOut(now.saturating_sub(ready_since)));
        self.outbox.push(Command::Persist(job));
        self.requeue(now, job);
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
