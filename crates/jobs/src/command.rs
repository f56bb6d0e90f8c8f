//! What the scheduler wants done by whoever drives it.

use std::sync::Arc;

use api::task::{ResultPart, StageGraph};
use api::{JobId, Problem};

use crate::save::TaskChunk;
use crate::{JobRecord, Millis};

/// An effect. Assignments and cancellations of work are not here: they are the answers to polls.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A live job changed; write it behind (see [`crate::Scheduler::save`]).
    Persist(JobId),
    /// The job was planned: a good moment to say where the blobs it reads are (see [`crate::Scheduler::locate`]).
    Planned(JobId),
    /// The job has come to its end: write the final record and its parts atomically, then call
    /// [`crate::Scheduler::finished`]. Until then the end is not the truth and must not be shown.
    Finish(Box<Ending>),
    /// An attempt ended; for counting.
    TaskEnded(TaskResult),
    /// A piece of work was handed out so long after it could have been; for counting.
    HandedOut(Millis),
    /// What came of a dry run (see [`crate::Scheduler::dry_run`]): the plan, or why there is none.
    DryRan(JobId, Result<Box<StageGraph>, Problem>),
    /// A slow task was given to a second worker; for counting.
    TwinStarted,
}

/// The end of a job, to be made durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The final record.
    pub record: JobRecord,
    /// The winning attempt of each partition of the last stage, in order; empty unless the job succeeded.
    pub parts: Vec<ResultPart>,
    /// The graph, unless it is durable already.
    pub graph: Option<Arc<StageGraph>>,
    /// What became of the tasks, as far as it is not durable already.
    pub chunks: Vec<TaskChunk>,
}

/// What a report was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// There is nothing (more) to be kept.
    Known,
    /// The job is not known (any more).
    Forget,
    /// It changed the job: it is durable with a save of the job's present version, or with its end.
    Taken,
    /// It cannot be taken now: it must be sent again.
    Later,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskResult {
    /// Its output was accepted.
    Done,
    /// It failed by itself.
    Failed,
    /// An input was not there.
    FetchFailed,
    /// It needed too much memory.
    OutOfMemory,
    /// Its worker was lost, or never got it.
    Lost,
    /// It reported too late, or twice.
    Refused,
}

impl TaskResult {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::FetchFailed,
        Self::OutOfMemory,
        Self::Lost,
        Self::Refused,
    ];

    /// The name used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::FetchFailed => "fetch_failed",
            Self::OutOfMemory => "out_of_memory",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}
