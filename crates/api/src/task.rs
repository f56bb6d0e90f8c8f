//! Tasks: what the leader and the workers say to each other.
//!
//! Polls are JSON. Messages that carry bytes (plans, inline results) are postcard.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::job::{Column, Cost, OutputSpec, TableSpec};
use crate::{BootId, ErrorCode, JobId, NodeId};

/// Largest result that rides in the commit transaction, over all its partitions.
pub const MAX_INLINE_RESULT_BYTES: usize = 64 * 1024;

/// One attempt of one partition of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// The job.
    pub job: JobId,
    /// Stage number, 0-based, producers before consumers.
    pub stage: u32,
    /// Partition of the stage, 0-based.
    pub partition: u32,
    /// Attempt; unique within (job, stage, partition), also over the runs of a job: see [`TaskId::run`].
    pub attempt: u32,
}

/// Low bits of an attempt that count within a run; the bits above them are the run.
pub const ATTEMPT_BITS: u32 = 16;

impl TaskId {
    /// Which run of the job the attempt belongs to. A run begins with each planning; a new leader goes on with the same one. Plans
    /// must not be kept from one run to the next, so they are kept per (job, run, stage).
    #[must_use]
    pub const fn run(&self) -> u32 {
        self.attempt >> ATTEMPT_BITS
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.job, self.stage, self.partition, self.attempt)
    }
}

/// A unit of work a worker holds a slot for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkId {
    /// Planning of a job, with the attempt.
    Plan(JobId, u32),
    /// A task.
    Task(TaskId),
}

impl WorkId {
    /// The job it belongs to.
    #[must_use]
    pub const fn job(&self) -> JobId {
        match self {
            Self::Plan(job, _) => *job,
            Self::Task(task) => task.job,
        }
    }
}

/// Long poll of a worker, and its heartbeat: `POST /internal/v1/jobs/poll`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PollRequest {
    /// Who asks.
    pub worker: NodeId,
    /// This life of the worker.
    pub boot_id: BootId,
    /// `host:port` where its shuffle files can be fetched.
    pub address: String,
    /// Slots it has in all.
    pub slots: u32,
    /// Everything it is running now.
    pub running: Vec<WorkId>,
    /// How far that is, in the same order.
    #[serde(default)]
    pub progress: Vec<TaskProgress>,
    /// Bytes of memory its tasks may reserve together.
    #[serde(default)]
    pub memory_limit: u64,
    /// Bytes of it that they have reserved.
    #[serde(default)]
    pub memory_used: u64,
    /// Longest time the leader may hold the answer back, milliseconds; 0 asks for an answer at once.
    pub wait_ms: u64,
}

/// How far a running task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskProgress {
    /// Rows written so far.
    pub rows: u64,
    /// Bytes written so far.
    pub bytes: u64,
    /// Bytes spilled so far.
    pub spilled_bytes: u64,
}

/// Answer to a poll.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PollResponse {
    /// Work to start, at most as much as there are free slots.
    pub start: Vec<Assignment>,
    /// Work to stop; its reports are not wanted.
    pub cancel: Vec<WorkId>,
    /// Jobs whose shuffle files may go.
    pub forget: Vec<JobId>,
    /// `traceparent` of those among the jobs of `start` that are traced: their work is a part of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traces: BTreeMap<JobId, String>,
}

/// Something to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// Turn SQL into stages.
    Plan {
        /// The job.
        job: JobId,
        /// Attempt of the planning.
        attempt: u32,
        /// The SQL.
        query: String,
        /// Tables the query may name.
        tables: BTreeMap<String, PlanTable>,
        /// Partitions to aim at in each stage.
        target_partitions: u32,
        /// What `now()` is, Unix milliseconds: the same in every attempt.
        now_ms: u64,
        /// Whose keys `kv:` tables read; empty is the default namespace.
        #[serde(default)]
        namespace: String,
    },
    /// Run one partition of a stage. The plan's bytes are fetched (and kept) per stage:
    /// `GET /internal/v1/jobs/{job}/stages/{stage}`.
    Run {
        /// What to run.
        task: TaskId,
        /// Where the outputs of earlier stages are.
        inputs: Vec<StageOutputs>,
        /// Whether this is the last stage: its output is the result, not a shuffle.
        last: bool,
        /// Partitions of this stage.
        partitions: u32,
        /// The rows of the last stage go into a dataset: a Parquet blob whose name begins with this.
        #[serde(default)]
        dataset: Option<String>,
        /// The only task of its worker while it runs, with all of the memory: it did not fit otherwise.
        #[serde(default)]
        alone: bool,
    },
}

/// A table of a query, resolved as far as the leader can.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanTable {
    /// What the user said.
    pub spec: TableSpec,
    /// The files of a dataset as its manifest named them when planning began.
    #[serde(default)]
    pub files: Vec<PlanFile>,
}

impl From<TableSpec> for PlanTable {
    fn from(spec: TableSpec) -> Self {
        Self { spec, files: Vec::new() }
    }
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// Its path in the dataset; may have `key=value` directories.
    pub path: String,
    /// The blob that holds it.
    pub blob: String,
    /// Its size.
    pub bytes: u64,
}

impl Assignment {
    /// The slot it takes.
    #[must_use]
    pub const fn work(&self) -> WorkId {
        match self {
            Self::Plan { job, attempt, .. } => WorkId::Plan(*job, *attempt),
            Self::Run { task, .. } => WorkId::Task(*task),
        }
    }
}

/// Where each partition of a finished stage lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOutputs {
    /// The producing stage.
    pub stage: u32,
    /// One per partition of that stage, in order.
    pub producers: Vec<Producer>,
}

/// The worker that holds the shuffle files of a finished task:
/// `GET /internal/v1/shuffle/{job}/{stage}/{partition}/{attempt}/{output}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// The attempt that won.
    pub attempt: u32,
    /// `host:port` of the worker.
    pub address: String,
}

/// A planned stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Encoded plan, opaque to masters.
    pub plan: Bytes,
    /// Tasks in it.
    pub partitions: u32,
    /// Shuffle partitions each of its tasks writes; 1 when it does not hash.
    pub output_partitions: u32,
    /// Stages whose outputs it reads.
    pub inputs: Vec<u32>,
    /// Whether running a task again gives the same rows in the same order.
    pub deterministic: bool,
    /// The plan as text, for people.
    pub display: String,
    /// For each partition the blobs it reads: it is best run near them. Empty when it reads none.
    pub blobs: Vec<Vec<String>>,
}

/// A planned job: stages in topological order, the last one makes the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageGraph {
    /// Producers before consumers.
    pub stages: Vec<Stage>,
    /// Columns of the result.
    pub columns: Vec<Column>,
    /// `CREATE TABLE … AS`: where the rows go.
    pub output: Option<OutputSpec>,
}

/// A worker's report (postcard), repeated until the answer says that it is durable: `POST /internal/v1/jobs/report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who reports.
    pub worker: NodeId,
    /// This life of the worker.
    pub boot_id: BootId,
    /// What it is about.
    pub work: WorkId,
    /// How it ended.
    pub outcome: Outcome,
    /// What an attempt that failed has cost. It stands behind all the rest, where masters of before read nothing.
    #[serde(skip)]
    pub wasted: Cost,
}

impl Report {
    /// Its form on the wire.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        let encoded = postcard::to_allocvec(self)?;
        match self.wasted == Cost::default() {
            true => Ok(encoded),
            false => postcard::to_extend(&self.wasted, encoded),
        }
    }

    /// Reads what [`Report::encode`] wrote, here or in an earlier version.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (mut report, rest) = postcard::take_from_bytes::<Self>(bytes)?;
        if !rest.is_empty() {
            report.wasted = postcard::from_bytes(rest)?;
        }
        Ok(report)
    }
}

/// Answer to a report (JSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReportResponse {
    /// The report need not be sent again.
    pub durable: bool,
    /// The job is not known (any more): its shuffle files may go.
    #[serde(default)]
    pub forget: bool,
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Planning done.
    Planned(StageGraph),
    /// Task done.
    Done(TaskOutput),
    /// Not done.
    Failed(TaskFailure),
}

/// What a task wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Where the rows are, for tasks of the last stage.
    pub result: Option<ResultPart>,
    /// What it cost.
    pub cost: Cost,
}

/// One partition of a result, an Arrow IPC stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultPart {
    /// Small: the bytes themselves.
    Inline(Bytes),
    /// Large: the name of a blob.
    Blob {
        /// Its name, attempt included.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

/// Why a piece of work failed; decides what the scheduler does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskFailure {
    /// The user's fault: the job fails at once with this problem.
    User {
        /// For machines.
        code: ErrorCode,
        /// The engine's message, and what to do.
        detail: String,
    },
    /// An input could not be fetched: its producer must run again, then this task.
    Fetch {
        /// Stage of the missing output.
        stage: u32,
        /// Its partition.
        partition: u32,
        /// The attempt that was asked for.
        attempt: u32,
        /// What went wrong.
        detail: String,
    },
    /// It needs more memory than it was given: try again with more of it, or with more partitions.
    OutOfMemory(String),
    /// Anything else: try again, elsewhere first.
    Retryable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_before_are_read_and_read_what_is_written_now() {
        let mut report = Report {
            worker: NodeId::try_new("worker-1").unwrap(),
            boot_id: BootId::from_bytes([7; 16]),
            work: WorkId::Plan("0199a0c0-0000-7000-8000-000000000001".parse().unwrap(), 3),
            outcome: Outcome::Failed(TaskFailure::Retryable("the disk is full".to_owned())),
            wasted: Cost::default(),
        };
        let before = postcard::to_allocvec(&report).unwrap();
        assert_eq!(Report::decode(&before).unwrap(), report);
        report.wasted.cpu_ms = 1_500;
        let now = report.encode().unwrap();
        assert_eq!(Report::decode(&now).unwrap(), report);
        assert_eq!(postcard::from_bytes::<Report>(&now).unwrap().outcome, report.outcome);
    }
}
