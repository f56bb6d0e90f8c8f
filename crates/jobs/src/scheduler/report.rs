//! What a report changes. Only an attempt that is waited for, from the life it was given to, is listened to.

use api::task::{Outcome, Report, TaskFailure, TaskId, TaskOutput, WorkId};
use api::{NodeId, Problem};

use super::Scheduler;
use crate::Millis;
use crate::command::{Command, Heard, TaskResult};
use crate::record::NoteKind;
use crate::run::Phase;
use crate::save::DoneRecord;
use crate::task::{Setback, State};
use crate::worker::Life;

impl Scheduler {
    /// Takes in how a piece of work ended. Late and repeated reports change nothing.
    pub fn report(&mut self, now: Millis, report: Report) -> Heard {
        let life = Life {
            worker: report.worker,
            boot: report.boot_id,
        };
        let job = report.work.job();
        if let Some(worker) = self.workers.get_mut(&life.worker).filter(|known| known.boot == life.boot) {
            worker.seen = now;
            worker.release_slot(&report.work);
        }
        if !self.jobs.contains_key(&job) {
            return Heard::Forget;
        }
        if !self.workers.contains_key(&life.worker) {
            // It polls whoever leads, and repeats its report: by then it is known where its outputs can be fetched.
            return Heard::Later;
        }
        if let (Outcome::Done(output), Some(run)) = (&report.outcome, self.jobs.get_mut(&job))
            && !run.is_done_by(&report.work, &life)
        {
            run.record.cost.add(&output.cost);
        }
        let counts = self.jobs.get(&job).is_some_and(|run| run.is_running(&report.work, &life));
        if counts || self.adopt(now, &life, &report.work) {
            if let (Outcome::Failed(_), Some(run)) = (&report.outcome, self.jobs.get_mut(&job)) {
                run.record.cost.add(&report.wasted);
            }
            self.accept(now, &life, report.work, report.outcome);
            self.settle(now, report.work);
            return Heard::Taken;
        }
        self.outbox.push(Command::TaskEnded(TaskResult::Refused));
        let waits = |run: &crate::run::Run| run.is_done_by(&report.work, &life) && !run.is_durable(&report.work);
        if self.jobs.get(&job).is_some_and(waits) {
            return Heard::Taken;
        }
        Heard::Known
    }

    /// Gives what a report changed its version.
    fn settle(&mut self, now: Millis, work: WorkId) {
        let Some(run) = self.jobs.get_mut(&work.job()) else { return };
        run.settle();
        run.journal.changed();
        let version = run.journal.version();
        if let (Phase::Running(stages), WorkId::Task(id)) = (&mut run.phase, work)
            && let Some(task) = stages.task_mut(id.stage, id.partition)
        {
            task.version = version;
        }
        self.requeue(now, work.job());
    }

    fn accept(&mut self, now: Millis, life: &Life, work: WorkId, outcome: Outcome) {
        match (outcome, work) {
            (Outcome::Planned(graph), WorkId::Plan(job, _)) => {
                let Some(run) = self.jobs.get_mut(&job) else { return };
                if run.is_dry {
                    self.outbox.push(Command::TaskEnded(TaskResult::Done));
                    return self.end_dry_run(job, Ok(Box::new(graph)));
                }
                match run.planned(graph, now, &self.policy) {
                    Ok(()) => {
                        self.outbox.push(Command::TaskEnded(TaskResult::Done));
                        self.outbox.push(Command::Planned(job));
                        self.outbox.push(Command::Persist(job));
                    }
                    Err(why) => self.set_back(now, &work, Setback::Failure, &life.worker, &why),
                }
            }
            (Outcome::Done(output), WorkId::Task(task)) => self.task_done(now, life, task, output),
            (Outcome::Failed(failure), _) => self.failed(now, &life.worker, work, failure),
            (Outcome::Planned(_), WorkId::Task(_)) | (Outcome::Done(_), WorkId::Plan(..)) => {
                let why = "its report does not fit what it was given";
                self.set_back(now, &work, Setback::Failure, &life.worker, why);
            }
        }
    }

    fn task_done(&mut self, now: Millis, life: &Life, task: TaskId, output: TaskOutput) {
        let work = WorkId::Task(task);
        let Some(address) = self.workers.get(&life.worker).map(|known| known.address.clone()) else {
            return;
        };
        let Some(run) = self.jobs.get_mut(&task.job) else { return };
        let Phase::Running(stages) = &mut run.phase else { return };
        if stages.is_last(task.stage) && output.result.is_none() {
            let why = "its report of the last stage names no result";
            return self.set_back(now, &work, Setback::Failure, &life.worker, why);
        }
        let avoided = stages
            .task(task.stage, task.partition)
            .map(|known| known.avoid.clone())
            .unwrap_or_default();
        let done = DoneRecord {
            attempt: task.attempt,
            worker: life.worker.clone(),
            boot: life.boot,
            address,
            output,
        };
        stages.complete(task.stage, task.partition, done, now);
        self.outbox.push(Command::TaskEnded(TaskResult::Done));
        match run.succeed_if_complete(now, &self.policy) {
            Some(ending) => self.finish(now, ending),
            None => self.outbox.push(Command::Persist(task.job)),
        }
        for worker in avoided.iter().filter(|worker| **worker != life.worker) {
            self.blame(now, worker, &work);
        }
    }

    /// A task that failed on a worker has succeeded on another.
    fn blame(&mut self, now: Millis, worker: &NodeId, work: &WorkId) {
        let policy = &self.policy;
        if !self.workers.get_mut(worker).is_some_and(|known| known.blame(now, policy)) {
            return;
        }
        let detail = format!(
            "worker {worker} gets nothing for {} s: {} tasks failed on it that succeeded elsewhere",
            policy.shun_for / 1_000,
            policy.blame_limit
        );
        if let Some(run) = self.jobs.get_mut(&work.job()) {
            run.record.note(now, NoteKind::WorkerShunned, None, Some(worker), &detail);
        }
    }

    fn failed(&mut self, now: Millis, worker: &NodeId, work: WorkId, failure: TaskFailure) {
        match (failure, work) {
            (TaskFailure::User { code, detail }, _) => {
                self.outbox.push(Command::TaskEnded(TaskResult::Failed));
                self.fail(now, work.job(), Problem::new(code, detail));
            }
            (
                TaskFailure::Fetch {
                    stage,
                    partition,
                    attempt,
                    detail,
                },
                WorkId::Task(reader),
            ) => {
                let setback = if self.lose_input(reader, (stage, partition, attempt)) {
                    Setback::Fetch
                } else {
                    Setback::Failure
                };
                let why = format!("output {partition} of stage {stage}: {detail}");
                self.set_back(now, &work, setback, worker, &why);
                self.recompute(now, reader.job);
            }
            (TaskFailure::OutOfMemory(detail), _) => self.set_back(now, &work, Setback::Memory, worker, &detail),
            (TaskFailure::Fetch { detail, .. } | TaskFailure::Retryable(detail), _) => {
                self.set_back(now, &work, Setback::Failure, worker, &detail);
            }
        }
    }

    /// Marks the input that `reader` could not fetch, if it is still the current one; whether it reads such a thing at all.
    fn lose_input(&mut self, reader: TaskId, (stage, partition, attempt): (u32, u32, u32)) -> bool {
        let Some(Phase::Running(stages)) = self.jobs.get_mut(&reader.job).map(|run| &mut run.phase) else {
            return false;
        };
        if !stages.reads(reader.stage, stage) {
            return false;
        }
        let Some(producer) = stages.task_mut(stage, partition) else {
            return false;
        };
        let holder = match &producer.state {
            State::Done(done) if done.attempt == attempt => done.worker.clone(),
            _ => return true,
        };
        producer.avoid(holder);
        stages.lose_output(stage, partition);
        true
    }

    fn recompute(&mut self, now: Millis, job: api::JobId) {
        if let Some(Phase::Running(stages)) = self.jobs.get_mut(&job).map(|run| &mut run.phase) {
            stages.recompute_lost(now);
            self.requeue(now, job);
        }
    }
}
