//! Keys of jobs in the control store.

use api::JobId;

/// Prefix of all records.
pub(in crate::app) const RECORDS: &str = "jobs/records/";

/// A job's record: value [`jobs::JobRecord`] as JSON.
pub(super) fn record(job: JobId) -> String {
    format!("{RECORDS}{job}")
}

/// Prefix of a job's inline result.
pub(super) fn results(job: JobId) -> String {
    format!("jobs/results/{job}/")
}

/// One partition of an inline result, an Arrow IPC stream.
pub(super) fn part(job: JobId, partition: usize) -> String {
    format!("jobs/results/{job}/{partition}")
}

/// Prefix of a job's plans, over all its runs.
pub(super) fn plans(job: JobId) -> String {
    format!("jobs/plans/{job}/")
}

/// Prefix of the plan of one run.
pub(super) fn plan(job: JobId, run: u32) -> String {
    format!("jobs/plans/{job}/{run:05}/")
}

/// Prefix of the graph without the encoded plans of its stages: JSON, cut into pieces.
pub(super) fn graph(job: JobId, run: u32) -> String {
    format!("jobs/plans/{job}/{run:05}/graph/")
}

/// Prefix of the encoded plans of stages, cut into pieces. They go with the end of the job.
pub(super) fn stage_plans(job: JobId, run: u32) -> String {
    format!("jobs/plans/{job}/{run:05}/stages/")
}

/// Prefix of the encoded plan of one stage.
pub(super) fn stage_plan(job: JobId, run: u32, stage: usize) -> String {
    format!("jobs/plans/{job}/{run:05}/stages/{stage:05}/")
}

/// Says that graph and plans are there whole.
pub(super) fn planned(job: JobId, run: u32) -> String {
    format!("jobs/plans/{job}/{run:05}/whole")
}

/// Prefix of what became of a job's tasks, over all its runs.
pub(super) fn all_tasks(job: JobId) -> String {
    format!("jobs/tasks/{job}/")
}

/// Prefix of what became of the tasks of one run.
pub(super) fn tasks(job: JobId, run: u32) -> String {
    format!("jobs/tasks/{job}/{run:05}/")
}

/// Neighbouring tasks of a stage: value [`jobs::TaskChunk`], a byte for the version of the encoding before it.
pub(super) fn task_chunk(job: JobId, run: u32, stage: u32, index: u32) -> String {
    format!("jobs/tasks/{job}/{run:05}/{stage:05}/{index:05}")
}

/// What an `Idempotency-Key` stands for in a namespace: value the job's id.
pub(super) fn idempotency(namespace: &str, key: &str) -> String {
    let namespace = if namespace.is_empty() { "_" } else { namespace };
    format!("jobs/idempotency/{namespace}/{key}")
}
