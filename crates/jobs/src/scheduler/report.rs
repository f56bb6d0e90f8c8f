//! What a report changes. Only the attempt that is waited for, from the life it was given to, is listened to.

use api::task::{Outcome, Report, ReportResponse, TaskFailure, TaskId, TaskOutput, WorkId};
use api::{NodeId, Problem};

use super::Scheduler;
use crate::Millis;
use crate::command::{Command, TaskResult};
use crate::run::Phase;
use crate::task::{Setback, State};
use crate::worker::Life;

impl Scheduler {
    /// Takes in how a piece of work ended. Late and repeated reports change nothing.
    pub fn report(&mut self, now: Millis, report: Report) -> ReportResponse {
        let life = Life {
            worker: report.worker,
            boot: report.boot_id,
        };
        if let Some(worker) = self.workers.get_mut(&life.worker).filter(|known| known.boot == life.boot) {
            worker.seen = now;
            worker.release_slot(&report.work);
        }
        let Some(run) = self.jobs.get(&report.work.job()) else {
            return ReportResponse {
                durable: true,
                forget: true,
            };
        };
        if run.is_running(&report.work, &life) {
            self.accept(now, life, report.work, report.outcome);
        } else {
            self.outbox.push(Command::TaskEnded(TaskResult::Refused));
        }
        ReportResponse {
            durable: true,
            forget: false,
        }
    }

    fn accept(&mut self, now: Millis, life: Life, work: WorkId, outcome: Outcome) {
        match (outcome, work) {
            (Outcome::Planned(graph), WorkId::Plan(job, _)) => {
                let Some(run) = self.jobs.get_mut(&job) else { return };
                match run.planned(graph, now, &self.policy) {
                    Ok(text) => {
                        self.outbox.push(Command::TaskEnded(TaskResult::Done));
                        self.outbox.push(Command::Planned { job, text });
                        self.outbox.push(Command::Persist(job));
                    }
                    Err(why) => self.set_back(now, &work, Setback::Failure, &life.worker, &why),
                }
            }
            (Outcome::Done(output), WorkId::Task(task)) => self.task_done(now, life, task, output),
            (Outcome::Failed(failure), _) => self.failed(now, &life.worker, work, failure),
            (Outcome::Planned(_), WorkId::Task(_)) | (Outcome::Done(_), WorkId::Plan(..)) => {
                self.set_back(
                    now,
                    &work,
                    Setback::Failure,
                    &life.worker,
                    "its report does not fit what it was given",
                );
            }
        }
    }

    fn task_done(&mut self, now: Millis, life: Life, task: TaskId, output: TaskOutput) {
        let Some(address) = self.workers.get(&life.worker).map(|known| known.address.clone()) else {
            return;
        };
        let Some(run) = self.jobs.get_mut(&task.job) else { return };
        let Phase::Running(stages) = &mut run.phase else { return };
        if stages.is_last(task.stage) && output.result.is_none() {
            let work = WorkId::Task(task);
            return self.set_back(
                now,
                &work,
                Setback::Failure,
                &life.worker,
                "its report of the last stage names no result",
            );
        }
        stages.complete(task.stage, task.partition, life, address, output);
        self.outbox.push(Command::TaskEnded(TaskResult::Done));
        match run.succeed_if_complete(now, &self.policy) {
            Some(ending) => self.finish(ending),
            None => self.outbox.push(Command::Persist(task.job)),
        }
    }

    fn failed(&mut self, now: Millis, worker: &NodeId, work: WorkId, failure: TaskFailure) {
        match (failure, work) {
            (TaskFailure::User { code, detail }, _) => {
                self.outbox.push(Command::TaskEnded(TaskResult::Failed));
                let ending = self
                    .jobs
                    .get_mut(&work.job())
                    .and_then(|run| run.fail(Problem::new(code, detail), now));
                if let Some(ending) = ending {
                    self.finish(ending);
                }
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
            (TaskFailure::Fetch { detail, .. } | TaskFailure::OutOfMemory(detail) | TaskFailure::Retryable(detail), _) => {
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
            State::Done {
                attempt: current, on, ..
            } if *current == attempt => on.worker.clone(),
            _ => return true,
        };
        producer.avoid(holder);
        stages.lose_output(stage, partition);
        true
    }

    fn recompute(&mut self, now: Millis, job: api::JobId) {
        if let Some(Phase::Running(stages)) = self.jobs.get_mut(&job).map(|run| &mut run.phase) {
            stages.recompute_lost(now);
        }
    }
}
