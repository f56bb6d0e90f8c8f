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

/// Prefix of a job's plans.
pub(super) fn plans(job: JobId) -> String {
    format!("jobs/plans/{job}/")
}

/// The text of a job's plan.
pub(super) fn plan_text(job: JobId) -> String {
    format!("jobs/plans/{job}/text")
}

/// What an `Idempotency-Key` stands for: value the job's id.
pub(super) fn idempotency(key: &str) -> String {
    format!("jobs/idempotency/{key}")
}
