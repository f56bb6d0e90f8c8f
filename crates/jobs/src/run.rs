//! One live job: queued → planning → running → its end.

use std::collections::BTreeSet;

use api::job::{JobState, ResultInfo};
use api::task::{ResultPart, StageGraph, TaskId, WorkId};
use api::{ErrorCode, NodeId, Problem};

use crate::command::Ending;
use crate::graph;
use crate::record::{JobRecord, PartLocation};
use crate::stages::Stages;
use crate::task::{Setback, State, Task};
use crate::worker::Life;
use crate::{Millis, Policy};

/// A job between its acceptance and the durable record of its end.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) record: JobRecord,
    pub(crate) phase: Phase,
    /// When it was last given a slot, as a sequence number: the least is served next.
    pub(crate) served: u64,
    /// When this scheduler took it on.
    pub(crate) accepted: Millis,
    /// Workers that may hold files of it.
    pub(crate) participants: BTreeSet<NodeId>,
    max_attempts: u32,
    deadline: Millis,
    timeout: Millis,
}

/// What the job is waiting for.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its plan.
    Planning(Task),
    /// Its tasks.
    Running(Stages),
    /// The durable record of its end.
    Finishing,
}

impl Run {
    pub(crate) fn new(record: JobRecord, now: Millis, policy: &Policy) -> Self {
        let timeout = record
            .spec
            .timeout
            .map_or(policy.job_timeout, |seconds| seconds.saturating_mul(1_000));
        Self {
            phase: Phase::Planning(Task::new(now)),
            served: 0,
            accepted: now,
            participants: BTreeSet::new(),
            max_attempts: record.spec.max_attempts.unwrap_or(policy.max_attempts).max(1),
            deadline: record.submitted_at_ms.saturating_add(timeout),
            timeout,
            record,
        }
    }

    /// Whether `life` is the one that is to do this work.
    pub(crate) fn is_running(&self, work: &WorkId, life: &Life) -> bool {
        match (&self.phase, work) {
            (Phase::Planning(task), WorkId::Plan(_, attempt)) => task.is_running(*attempt, life),
            (Phase::Running(stages), WorkId::Task(id)) => stages
                .task(id.stage, id.partition)
                .is_some_and(|t| t.is_running(id.attempt, life)),
            _ => false,
        }
    }

    /// Whether `life` did this work and holds its output, so that it must not throw it away.
    pub(crate) fn is_done_by(&self, work: &WorkId, life: &Life) -> bool {
        match (&self.phase, work) {
            (Phase::Running(stages), WorkId::Task(id)) => stages
                .task(id.stage, id.partition)
                .is_some_and(|t| t.is_done_by(id.attempt, life)),
            _ => false,
        }
    }

    /// Everything of it that runs on `life`.
    pub(crate) fn work_on(&self, life: &Life) -> Vec<WorkId> {
        match &self.phase {
            Phase::Planning(task) => match &task.state {
                State::Running { attempt, on } if on == life => vec![WorkId::Plan(self.record.id, *attempt)],
                _ => Vec::new(),
            },
            Phase::Running(stages) => {
                let id = |(stage, partition)| match &stages.task(stage, partition)?.state {
                    State::Running { attempt, .. } => Some(WorkId::Task(TaskId {
                        job: self.record.id,
                        stage,
                        partition,
                        attempt: *attempt,
                    })),
                    _ => None,
                };
                stages.running_on(life).into_iter().filter_map(id).collect()
            }
            Phase::Finishing => Vec::new(),
        }
    }

    /// Takes the plan; the text of it for people.
    pub(crate) fn planned(&mut self, graph: StageGraph, now: Millis, policy: &Policy) -> Result<String, String> {
        let text = graph::text(&graph);
        let stages = Stages::new(graph, now, policy).map_err(|error| error.to_string())?;
        self.record.state = JobState::Running;
        self.record.progress = stages.progress();
        self.phase = Phase::Running(stages);
        Ok(text)
    }

    /// The attempt of `work` came to nothing. Returns the end of the job when that was the last straw.
    pub(crate) fn set_back(
        &mut self,
        work: &WorkId,
        setback: Setback,
        worker: &NodeId,
        why: &str,
        now: Millis,
        policy: &Policy,
    ) -> Option<Ending> {
        let max_attempts = self.max_attempts;
        let (name, outcome, counts) = match (&mut self.phase, work) {
            (Phase::Planning(task), WorkId::Plan(..)) => {
                let outcome = task.set_back(setback, now, worker, max_attempts, policy);
                if let Ok(from) = outcome {
                    task.state = State::Pending { from };
                }
                ("planning".to_owned(), outcome, (task.failures(), task.fetch_failures()))
            }
            (Phase::Running(stages), WorkId::Task(id)) => {
                let task = stages.task_mut(id.stage, id.partition)?;
                let outcome = task.set_back(setback, now, worker, max_attempts, policy);
                let counts = (task.failures(), task.fetch_failures());
                if let Ok(from) = outcome {
                    stages.reopen(id.stage, id.partition, from);
                }
                (format!("task {} of stage {}", id.partition, id.stage), outcome, counts)
            }
            _ => return None,
        };
        let detail = match (outcome, setback) {
            (Ok(_), _) => return None,
            (Err(_), Setback::Failure) => format!("{name} failed {} times, the last time on {worker}: {why}", counts.0),
            (Err(_), Setback::Fetch) => {
                format!(
                    "{name} found its inputs missing {} times, the last time on {worker}: {why}",
                    counts.1
                )
            }
            (Err(_), Setback::Undelivered) => format!("{name} could not be delivered to any worker"),
        };
        self.fail(Problem::new(ErrorCode::Internal, detail), now)
    }

    /// Ends the job with a problem; nothing when it is at its end already.
    pub(crate) fn fail(&mut self, problem: Problem, now: Millis) -> Option<Ending> {
        if !matches!(self.phase, Phase::Finishing) {
            self.record.error = Some(problem);
        }
        self.end(JobState::Failed, now, Vec::new())
    }

    /// Ends the job because somebody asked for it.
    pub(crate) fn cancel(&mut self, now: Millis) -> Option<Ending> {
        self.end(JobState::Cancelled, now, Vec::new())
    }

    /// Ends the job when its result is whole.
    pub(crate) fn succeed_if_complete(&mut self, now: Millis, policy: &Policy) -> Option<Ending> {
        let Phase::Running(stages) = &self.phase else { return None };
        if !stages.is_complete() {
            return None;
        }
        let (parts, rows): (Vec<_>, Vec<_>) = stages.result().into_iter().unzip();
        let inline = |part: &ResultPart| {
            if let ResultPart::Inline(bytes) = part {
                bytes.len() as u64
            } else {
                0
            }
        };
        let inline_bytes: u64 = parts.iter().map(inline).sum();
        if inline_bytes > policy.max_inline_bytes {
            let detail = format!(
                "the result came back as {inline_bytes} bytes inline; at most {} fit",
                policy.max_inline_bytes
            );
            return self.fail(Problem::new(ErrorCode::TooLarge, detail), now);
        }
        let locations: Vec<_> = parts.iter().map(PartLocation::of).collect();
        let bytes = locations.iter().map(PartLocation::bytes).sum();
        let columns = stages.columns.clone();
        self.record.result = Some(ResultInfo {
            rows: rows.iter().sum(),
            bytes,
            columns,
        });
        self.record.parts = locations;
        self.end(JobState::Succeeded, now, parts)
    }

    fn end(&mut self, state: JobState, now: Millis, parts: Vec<ResultPart>) -> Option<Ending> {
        if matches!(self.phase, Phase::Finishing) {
            return None;
        }
        self.refresh_progress();
        self.phase = Phase::Finishing;
        self.record.state = state;
        self.record.finished_at_ms = Some(now);
        if state == JobState::Succeeded {
            let progress = &mut self.record.progress;
            progress.stages.done = progress.stages.total;
            progress.tasks.done = progress.tasks.total;
        }
        Some(Ending {
            record: self.record.clone(),
            parts,
        })
    }

    /// Brings the record's progress up to date.
    pub(crate) fn refresh_progress(&mut self) {
        if let Phase::Running(stages) = &self.phase {
            self.record.progress = stages.progress();
        }
    }

    /// Ends the job when its time is up.
    pub(crate) fn expire(&mut self, now: Millis) -> Option<Ending> {
        if now < self.deadline || matches!(self.phase, Phase::Finishing) {
            return None;
        }
        let detail = format!("the job did not end within its timeout of {} s", self.timeout / 1_000);
        self.fail(Problem::new(ErrorCode::Timeout, detail), now)
    }
}
