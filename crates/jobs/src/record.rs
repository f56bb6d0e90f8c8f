//! A job as the control store keeps it.

use api::job::{Cost, Job, JobSpec, JobState, OutputSpec, Progress, ResultInfo};
use api::task::{ResultPart, WorkId};
use api::{JobId, NodeId, Problem};
use serde::{Deserialize, Serialize};

use crate::task::shortened;
use crate::{Millis, attempt};

/// Notes kept in a record.
const MAX_NOTES: usize = 16;

/// Value of `jobs/records/{id}`: everything about a job that must outlive its leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// What was asked for.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// Namespace it was submitted in; empty is the default one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// How often it was planned anew; part of every attempt's number, so that attempts of different plans differ.
    pub run: u32,
    /// How many leaders have taken it over in this run; part of every attempt's number too.
    #[serde(default)]
    pub term: u32,
    /// How often it was planned anew because its tasks did not fit into memory.
    #[serde(default)]
    pub replans: u32,
    /// Acceptance.
    pub submitted_at_ms: Millis,
    /// First piece of work given to a worker.
    pub started_at_ms: Option<Millis>,
    /// End.
    pub finished_at_ms: Option<Millis>,
    /// How far it is.
    pub progress: Progress,
    /// What it cost so far.
    #[serde(default)]
    pub cost: Cost,
    /// What went wrong on the way, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Notes ever made.
    #[serde(default)]
    pub noted: u64,
    /// The dataset its rows went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
    /// Why it failed.
    pub error: Option<Problem>,
    /// What it left.
    pub result: Option<ResultInfo>,
    /// Where each partition of the result is, in order.
    pub parts: Vec<PartLocation>,
    /// `Idempotency-Key` it was submitted with: that key lives as long as the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Its place in the trace of the request that submitted it, when that is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<JobTrace>,
}

/// A job's place in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTrace {
    /// `traceparent` of what its tasks are parts of: the job's own span, or without one that of the request.
    pub span: String,
    /// `traceparent` of the request, when the job has a span of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// Something that went wrong, and did not end the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which one of the job's notes it is, from 1.
    pub number: u64,
    /// When.
    pub at_ms: Millis,
    /// What.
    pub kind: NoteKind,
    /// Stage of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<u32>,
    /// Partition of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Attempt of the task, or of the planning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<NodeId>,
    /// In words.
    pub detail: String,
}

/// Kinds of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// An attempt failed by itself.
    TaskFailed,
    /// An attempt died with its worker.
    TaskLost,
    /// An input was not there.
    InputMissing,
    /// A task needed too much memory.
    OutOfMemory,
    /// The job was planned anew with smaller tasks.
    PlannedAnew,
    /// A slow task was given to a second worker.
    TwinStarted,
    /// A worker gets nothing for a while.
    WorkerShunned,
    /// Another leader took the job over.
    TakenOver,
}

/// Where a partition of a committed result is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartLocation {
    /// In the control store, written by the same transaction as the final record.
    Inline {
        /// Its size.
        bytes: u64,
        /// Rows in it.
        #[serde(default)]
        rows: u64,
    },
    /// A blob.
    Blob {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
        /// Rows in it.
        #[serde(default)]
        rows: u64,
    },
}

impl PartLocation {
    /// Where `part` will be once committed.
    #[must_use]
    pub fn of(part: &ResultPart, rows: u64) -> Self {
        match part {
            ResultPart::Inline(bytes) => Self::Inline {
                bytes: bytes.len() as u64,
                rows,
            },
            ResultPart::Blob { name, bytes } => Self::Blob {
                name: name.clone(),
                bytes: *bytes,
                rows,
            },
        }
    }

    /// Rows in it.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        match self {
            Self::Inline { rows, .. } | Self::Blob { rows, .. } => *rows,
        }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Inline { bytes, .. } | Self::Blob { bytes, .. } => *bytes,
        }
    }
}

impl JobRecord {
    /// A job as it is accepted.
    #[must_use]
    pub fn new(id: JobId, spec: JobSpec, now: Millis) -> Self {
        Self {
            id,
            spec,
            state: JobState::Queued,
            namespace: String::new(),
            run: 0,
            term: 0,
            replans: 0,
            submitted_at_ms: now,
            started_at_ms: None,
            finished_at_ms: None,
            progress: Progress::default(),
            cost: Cost::default(),
            notes: Vec::new(),
            noted: 0,
            output: None,
            error: None,
            result: None,
            parts: Vec::new(),
            idempotency_key: None,
            trace: None,
        }
    }

    /// The same job under another leader; whether its plan still holds. Must be durable before it is resumed.
    ///
    /// Without a plan that is durable as a whole it is planned anew, in another run: tasks of the plan that was lost may be under way, and
    /// parts of it may be durable. They must not be taken for those of the next plan.
    #[must_use]
    pub fn taken_over(mut self, now: Millis, has_plan: bool) -> (Self, bool) {
        let goes_on = has_plan && self.term + 1 < attempt::MAX_TERMS;
        if goes_on {
            self.term += 1;
        } else {
            (self.run, self.term) = (self.run + 1, 0);
        }
        if self.state != JobState::Queued {
            self.note(
                now,
                NoteKind::TakenOver,
                None,
                None,
                "another master leads and goes on with the job",
            );
        }
        if !goes_on && !self.state.is_final() {
            self.state = JobState::Queued;
        }
        (self, goes_on)
    }

    /// Remembers that something went wrong.
    pub(crate) fn note(&mut self, now: Millis, kind: NoteKind, work: Option<&WorkId>, worker: Option<&NodeId>, detail: &str) {
        let (stage, partition, attempt) = match work {
            Some(WorkId::Task(task)) => (Some(task.stage), Some(task.partition), Some(task.attempt)),
            Some(WorkId::Plan(_, attempt)) => (None, None, Some(*attempt)),
            None => (None, None, None),
        };
        self.noted += 1;
        if self.notes.len() == MAX_NOTES {
            self.notes.remove(0);
        }
        self.notes.push(Note {
            number: self.noted,
            at_ms: now,
            kind,
            stage,
            partition,
            attempt,
            worker: worker.cloned(),
            detail: shortened(detail),
        });
    }

    /// What clients see.
    #[must_use]
    pub fn view(&self) -> Job {
        Job {
            id: self.id,
            state: self.state,
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            namespace: self.namespace.clone(),
            query: self.spec.query.clone(),
            priority: self.spec.priority,
            submitted_at_ms: self.submitted_at_ms,
            started_at_ms: self.started_at_ms,
            finished_at_ms: self.finished_at_ms,
            progress: self.progress,
            cost: self.cost,
            output: self.output.clone().or_else(|| self.spec.output.clone()),
            error: self.error.clone(),
            result: self.result.clone(),
            rows: None,
        }
    }
}
