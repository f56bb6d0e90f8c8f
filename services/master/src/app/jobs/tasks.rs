//! The tasks of a job and what became of each, while it runs and after its end.

use std::collections::BTreeMap;

use api::JobId;
use api::job_tasks::{JobTask, JobTasks, TaskAttempt, TaskState};
use jobs::{AttemptEnd, AttemptRecord, TaskRecord};

use super::plans::not_planned;
use super::{Error, Jobs, saved};

/// Which tasks.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskListing {
    /// Only of this stage.
    pub stage: Option<u32>,
    /// Only in this state.
    pub state: Option<TaskState>,
    /// At most so many.
    pub limit: usize,
    /// Only those after this (stage, partition).
    pub after: Option<(u32, u32)>,
}

impl Jobs {
    /// Tasks of a job, in order of stage and partition.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not planned yet, [`Error::NotFound`], or when the store does not answer.
    pub async fn tasks(&self, namespace: &str, job: JobId, listing: TaskListing) -> Result<JobTasks, Error> {
        let record = self.get(namespace, job).await?;
        let store = &*self.inner.store;
        let (graph, chunks) = tokio::try_join!(
            saved::load_graph(store, job, record.run),
            saved::load_tasks(store, job, record.run)
        )?;
        let graph = graph.ok_or_else(|| not_planned(&record))?;
        let mut known = BTreeMap::new();
        for chunk in chunks {
            known.extend(chunk.tasks.into_iter().map(|task| ((chunk.stage, task.partition), task)));
        }
        let places = graph
            .stages
            .iter()
            .zip(0_u32..)
            .flat_map(|(stage, number)| (0..stage.partitions).map(move |p| (number, p)));
        let wanted = places
            .filter(|place| listing.after.is_none_or(|after| *place > after))
            .filter(|(stage, _)| listing.stage.is_none_or(|only| only == *stage));
        let mut items: Vec<JobTask> = wanted
            .map(|place| view(place, known.remove(&place), record.state.is_final()))
            .filter(|task| listing.state.is_none_or(|state| state == task.state))
            .take(listing.limit + 1)
            .collect();
        let more = items.len() > listing.limit;
        items.truncate(listing.limit);
        let next = items
            .last()
            .filter(|_| more)
            .map(|task| format!("{}.{}", task.stage, task.partition));
        Ok(JobTasks { items, next })
    }
}

fn view((stage, partition): (u32, u32), task: Option<TaskRecord>, is_over: bool) -> JobTask {
    let mut seen = JobTask {
        stage,
        partition,
        state: TaskState::Pending,
        rows: 0,
        bytes: 0,
        attempts: Vec::new(),
    };
    let Some(task) = task else { return seen };
    seen.attempts = task.attempts.iter().map(|attempt| attempt_view(attempt, is_over)).collect();
    let running = task.attempts.iter().rfind(|attempt| attempt.end == AttemptEnd::Running);
    match (&task.done, running) {
        (Some(done), _) => {
            seen.state = TaskState::Done;
            (seen.rows, seen.bytes) = (done.output.rows, done.output.bytes);
        }
        (None, Some(running)) if !is_over => {
            seen.state = TaskState::Running;
            (seen.rows, seen.bytes) = (running.rows, running.bytes);
        }
        _ => {}
    }
    seen
}

fn attempt_view(attempt: &AttemptRecord, is_over: bool) -> TaskAttempt {
    // What still ran when the job ended was stopped.
    let end = if is_over && attempt.end == AttemptEnd::Running {
        AttemptEnd::Cancelled
    } else {
        attempt.end
    };
    TaskAttempt {
        attempt: attempt.attempt,
        worker: attempt.worker.clone(),
        state: end.as_str().to_owned(),
        started_at_ms: attempt.started_at_ms,
        finished_at_ms: attempt.ended_at_ms,
        rows: attempt.rows,
        bytes: attempt.bytes,
        error: attempt.error.clone(),
    }
}
