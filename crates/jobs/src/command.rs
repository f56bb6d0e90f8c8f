//! What the scheduler wants done by whoever drives it.

use api::JobId;
use api::task::ResultPart;

use crate::JobRecord;

/// An effect. Assignments and cancellations of work are not here: they are the answers to polls.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The record of a live job changed; write it when convenient (see [`crate::Scheduler::record`]).
    Persist(JobId),
    /// The job was planned: keep the text of its plan for people.
    Planned {
        /// The job.
        job: JobId,
        /// Its stages, as text.
        text: String,
    },
    /// The job has come to its end: write the final record and its parts atomically, then call
    /// [`crate::Scheduler::finished`]. Until then the end is not the truth and must not be shown.
    Finish(Box<Ending>),
    /// An attempt ended; for counting.
    TaskEnded(TaskResult),
}

/// The end of a job, to be made durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The final record.
    pub record: JobRecord,
    /// The winning attempt of each partition of the last stage, in order; empty unless the job succeeded.
    pub parts: Vec<ResultPart>,
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
    /// Its worker was lost, or never got it.
    Lost,
    /// It reported too late, or twice.
    Refused,
}

impl TaskResult {
    /// The name used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::FetchFailed => "fetch_failed",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}
