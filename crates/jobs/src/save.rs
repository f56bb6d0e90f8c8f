//! What of a job must outlive its leader, besides the record: the graph, and what became of its tasks.
//!
//! The driver writes behind: it takes a [`Save`] now and then, makes it durable, and says so with [`crate::Scheduler::saved`].
//! What was not said to be durable is in the next one again. The parts of a save may become durable in any order.

use std::sync::Arc;

use api::task::{StageGraph, TaskOutput};
use api::{BootId, JobId, NodeId};
use serde::{Deserialize, Serialize};

use crate::{JobRecord, Millis};

/// Tasks of a stage that are kept together.
pub const CHUNK_TASKS: u32 = 256;

/// Everything of a job that is newer than what is known to be durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Save {
    /// The job.
    pub job: JobId,
    /// To be given back to [`crate::Scheduler::saved`].
    pub version: u64,
    /// The record.
    pub record: JobRecord,
    /// The graph with its plans, unless it is durable.
    pub graph: Option<Arc<StageGraph>>,
    /// Changed tasks.
    pub chunks: Vec<TaskChunk>,
}

/// Neighbouring tasks of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskChunk {
    /// The stage.
    pub stage: u32,
    /// Which chunk of it: tasks from `index * CHUNK_TASKS` on.
    pub index: u32,
    /// For each stage that was ever started again whole: attempts with lower numbers do not count any more. Every chunk says
    /// it for all stages, so that the chunks of stages that read each other may become durable in any order.
    pub floors: Vec<(u32, u32)>,
    /// Tasks that have been started.
    pub tasks: Vec<TaskRecord>,
}

/// What became of one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its partition.
    pub partition: u32,
    /// The attempt that won.
    pub done: Option<DoneRecord>,
    /// Attempts given out so far.
    pub starts: u32,
    /// How many failed.
    pub failures: u32,
    /// How many found an input missing.
    pub fetch_failures: u32,
    /// Whether it needs a worker of its own.
    pub alone: bool,
    /// Its latest attempts, the running ones last.
    pub attempts: Vec<AttemptRecord>,
}

/// The attempt that won.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneRecord {
    /// Its number.
    pub attempt: u32,
    /// The worker that has its output.
    pub worker: NodeId,
    /// That life of it.
    pub boot: BootId,
    /// Where the output can be fetched.
    pub address: String,
    /// What it wrote.
    pub output: TaskOutput,
}

/// One attempt, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number.
    pub attempt: u32,
    /// Who had it.
    pub worker: NodeId,
    /// When it was given out.
    pub started_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
    /// How it ended.
    pub end: AttemptEnd,
    /// Rows written, so far.
    pub rows: u64,
    /// Bytes written, so far.
    pub bytes: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEnd {
    /// It has not.
    Running,
    /// It won.
    Done,
    /// It failed by itself.
    Failed,
    /// An input was not there.
    FetchFailed,
    /// It needed too much memory.
    OutOfMemory,
    /// Its worker was lost, or never got it.
    Lost,
    /// Another attempt won, or nobody wants it any more.
    Cancelled,
}

impl AttemptEnd {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::FetchFailed => "fetch_failed",
            Self::OutOfMemory => "out_of_memory",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
        }
    }
}
