//! A job as the control store keeps it.

use api::job::{Cost, Job, JobSpec, JobState, Progress, ResultInfo};
use api::task::ResultPart;
use api::{JobId, Problem};
use serde::{Deserialize, Serialize};

use crate::Millis;

/// Value of `jobs/records/{id}`: everything about a job that must outlive its leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// What was asked for.
    pub spec: JobSpec,
    /// Where it stands.
    pub state: JobState,
    /// How often a leader has started it; part of every attempt's number, so that attempts of different leaders differ.
    pub run: u32,
    /// Acceptance.
    pub submitted_at_ms: Millis,
    /// First piece of work given to a worker.
    pub started_at_ms: Option<Millis>,
    /// End.
    pub finished_at_ms: Option<Millis>,
    /// How far it is.
    pub progress: Progress,
    /// Why it failed.
    pub error: Option<Problem>,
    /// What it left.
    pub result: Option<ResultInfo>,
    /// Where each partition of the result is, in order.
    pub parts: Vec<PartLocation>,
    /// `Idempotency-Key` it was submitted with: that key lives as long as the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What the names of blobs begin with that it reads: until it ends they are kept, although their dataset may be replaced or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<String>,
}

/// Where a partition of a committed result is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartLocation {
    /// In the control store, written by the same transaction as the final record.
    Inline {
        /// Its size.
        bytes: u64,
    },
    /// A blob.
    Blob {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

impl PartLocation {
    /// Where `part` will be once committed.
    #[must_use]
    pub fn of(part: &ResultPart) -> Self {
        match part {
            ResultPart::Inline(bytes) => Self::Inline {
                bytes: bytes.len() as u64,
            },
            ResultPart::Blob { name, bytes } => Self::Blob {
                name: name.clone(),
                bytes: *bytes,
            },
        }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Inline { bytes } | Self::Blob { bytes, .. } => *bytes,
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
            run: 0,
            submitted_at_ms: now,
            started_at_ms: None,
            finished_at_ms: None,
            progress: Progress::default(),
            error: None,
            result: None,
            parts: Vec::new(),
            idempotency_key: None,
            pinned: Vec::new(),
        }
    }

    /// The same job at the start of its next run, under a new leader. Must be durable before it is submitted.
    #[must_use]
    pub fn requeued(self) -> Self {
        let fresh = Self::new(self.id, self.spec, self.submitted_at_ms);
        Self {
            run: self.run + 1,
            idempotency_key: self.idempotency_key,
            ..fresh
        }
    }

    /// What clients see.
    #[must_use]
    pub fn view(&self) -> Job {
        Job {
            id: self.id,
            state: self.state,
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            namespace: String::new(),
            query: self.spec.query.clone(),
            priority: self.spec.priority,
            submitted_at_ms: self.submitted_at_ms,
            started_at_ms: self.started_at_ms,
            finished_at_ms: self.finished_at_ms,
            progress: self.progress,
            cost: Cost::default(),
            output: self.spec.output.clone(),
            error: self.error.clone(),
            result: self.result.clone(),
            rows: None,
        }
    }
}
