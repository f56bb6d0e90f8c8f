//! What it means for a job that an attempt came to nothing.

use api::job::JobState;
use api::task::WorkId;
use api::{ErrorCode, NodeId, Problem};

use super::{Phase, Run};
use crate::command::Ending;
use crate::record::NoteKind;
use crate::task::{Next, Setback, Task};
use crate::{Millis, Policy, attempt};

/// Times a job is planned anew with smaller tasks before it is said to need more memory.
const MAX_REPLANS: u32 = 2;

/// What follows a setback of one attempt.
#[derive(Debug)]
pub(crate) enum After {
    /// The job goes on.
    GoesOn,
    /// That was the last straw.
    Ends(Box<Ending>),
}

impl Run {
    /// The attempt of `work` came to nothing.
    pub(crate) fn set_back(
        &mut self,
        work: &WorkId,
        setback: Setback,
        worker: &NodeId,
        why: &str,
        now: Millis,
        policy: &Policy,
    ) -> After {
        let (max_attempts, term) = (self.max_attempts, self.record.term);
        let (name, next, counts) = match (&mut self.phase, work) {
            (Phase::Planning(task), WorkId::Plan(_, attempt)) => {
                // Planning has no smaller tasks to fall back to.
                let setback = if setback == Setback::Memory {
                    Setback::Failure
                } else {
                    setback
                };
                let limits = (max_attempts, attempt::limit(term));
                let next = task.set_back(*attempt, setback, now, limits, why, policy);
                ("planning".to_owned(), next, (task.failures(), task.fetch_failures()))
            }
            (Phase::Running(stages), WorkId::Task(id)) => {
                let limits = (max_attempts, stages.limit());
                let Some(task) = stages.task_mut(id.stage, id.partition) else {
                    return After::GoesOn;
                };
                let next = task.set_back(id.attempt, setback, now, limits, why, policy);
                let counts = (task.failures(), task.fetch_failures());
                if let Next::Retry(from) = next {
                    stages.reopen(id.stage, id.partition, from, now);
                }
                (format!("task {} of stage {}", id.partition, id.stage), next, counts)
            }
            _ => return After::GoesOn,
        };
        self.note_setback(work, setback, worker, why, now);
        let detail = match (next, setback) {
            (Next::Retry(_) | Next::Twin, _) => return After::GoesOn,
            (Next::Smaller, _) => return self.replan(&name, why, now),
            (Next::GivenUp, Setback::Fetch) => {
                format!(
                    "{name} found its inputs missing {} times, the last time on {worker}: {why}",
                    counts.1
                )
            }
            (Next::GivenUp, Setback::Undelivered) => format!("{name} could not be delivered to any worker"),
            (Next::GivenUp, _) => format!("{name} failed {} times, the last time on {worker}: {why}", counts.0),
        };
        self.fail(Problem::new(ErrorCode::Internal, detail), now)
            .map_or(After::GoesOn, |ending| After::Ends(Box::new(ending)))
    }

    /// A task needs more memory than a whole worker has: plans the job anew, with smaller tasks.
    fn replan(&mut self, name: &str, why: &str, now: Millis) -> After {
        if self.record.replans >= MAX_REPLANS {
            let detail = format!(
                "{name} does not fit into the memory of a worker, not even alone, nor after planning anew with {} times as many \
                 partitions: {why}; raise WORKER_MEMORY, or join or group less at once",
                self.partition_factor()
            );
            let ending = self.fail(Problem::new(ErrorCode::TooLarge, detail), now);
            return ending.map_or(After::GoesOn, |ending| After::Ends(Box::new(ending)));
        }
        self.record.replans += 1;
        self.record.run += 1;
        self.record.state = JobState::Planning;
        self.phase = Phase::Planning(Task::new(now, attempt::base(self.record.term)));
        self.journal.unplanned();
        let detail = format!(
            "{name} does not fit into the memory of a worker: planning anew with {} times as many partitions",
            self.partition_factor()
        );
        self.record.note(now, NoteKind::PlannedAnew, None, None, &detail);
        After::GoesOn
    }

    /// How many times more partitions than usual the job is planned with.
    pub(crate) const fn partition_factor(&self) -> u32 {
        4_u32.pow(self.record.replans)
    }

    fn note_setback(&mut self, work: &WorkId, setback: Setback, worker: &NodeId, why: &str, now: Millis) {
        let kind = match setback {
            Setback::Failure => NoteKind::TaskFailed,
            Setback::WorkerLost => NoteKind::TaskLost,
            Setback::Fetch => NoteKind::InputMissing,
            Setback::Memory => NoteKind::OutOfMemory,
            Setback::Undelivered => return,
        };
        self.record.note(now, kind, Some(work), Some(worker), why);
    }
}
