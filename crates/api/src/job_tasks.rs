//! Plans and tasks of a job as clients see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::NodeId;
use crate::job::{Column, OutputSpec};

/// Answer of `GET /jobs/{id}/plan?format=json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPlan {
    /// Producers before consumers; the last one makes the result.
    pub stages: Vec<PlanStage>,
    /// Columns of the result.
    pub columns: Vec<Column>,
    /// The dataset it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanStage {
    /// Its number.
    pub stage: u32,
    /// Tasks in it.
    pub tasks: u32,
    /// Shuffle partitions each task writes.
    pub outputs: u32,
    /// Stages it reads.
    pub inputs: Vec<u32>,
    /// Whether running a task again gives the same rows.
    pub deterministic: bool,
    /// What it does, as text.
    pub plan: String,
}

/// Answer of `POST /jobs?dry_run=true`: what would be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DryRun {
    /// The plan.
    #[serde(flatten)]
    pub plan: JobPlan,
    /// How much work that is.
    pub estimate: Estimate,
}

/// How much work a plan is, as far as that is known without doing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Estimate {
    /// Tasks over all stages.
    pub tasks: u64,
    /// Tasks that read tables, not other stages.
    pub scans: u64,
    /// Blobs of datasets that are read.
    pub blobs: u64,
}

/// Answer of `GET /jobs/{id}/tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JobTasks {
    /// In order of stage and partition.
    pub items: Vec<JobTask>,
    /// Give it as `after` for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One task: a partition of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobTask {
    /// Its stage.
    pub stage: u32,
    /// Its partition.
    pub partition: u32,
    /// Where it stands.
    pub state: TaskState,
    /// Rows written, so far.
    pub rows: u64,
    /// Bytes written, so far.
    pub bytes: u64,
    /// The latest attempts, oldest first.
    pub attempts: Vec<TaskAttempt>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Not given to a worker.
    Pending,
    /// A worker has it.
    Running,
    /// It wrote its output.
    Done,
}

/// One attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskAttempt {
    /// Its number.
    pub attempt: u32,
    /// Who had it.
    #[schema(value_type = String)]
    pub worker: NodeId,
    /// How it ended: `running`, `done`, `failed`, `fetch_failed`, `out_of_memory`, `lost` or `cancelled`.
    pub state: String,
    /// When it was given out, Unix milliseconds.
    pub started_at_ms: u64,
    /// When it ended, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
