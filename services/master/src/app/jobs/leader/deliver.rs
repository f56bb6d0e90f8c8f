//! Orders on their way to workers. Planning is handed out with the files of the datasets it names, one snapshot for each attempt.

use api::task::{Assignment, Outcome, PlanTable, PollResponse, Report, TaskFailure, WorkId};
use api::{JobId, NodeId};

use super::parked::Answer;
use crate::app::jobs::{Error, Jobs};

/// What became of an order.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) worker: NodeId,
    /// Work that did not reach the worker.
    pub(super) lost: Vec<WorkId>,
    /// Planning that was not handed out, as if the worker had reported so.
    pub(super) failed: Vec<Report>,
}

/// What is known of the job of an order.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) job: JobId,
    pub(super) namespace: String,
    pub(super) output: Option<api::job::OutputSpec>,
}

/// Jobs whose planning must be completed before it is handed out.
pub(super) fn incomplete(response: &PollResponse, output: impl Fn(JobId) -> Option<Context>) -> Vec<Context> {
    let context = |assignment: &Assignment| match assignment {
        Assignment::Plan { job, tables, .. } => {
            let context = output(*job)?;
            let needs = context.output.is_some() || tables.values().any(|table| table.spec.dataset.is_some());
            needs.then_some(context)
        }
        Assignment::Run { .. } => None,
    };
    response.start.iter().filter_map(context).collect()
}

/// Sends an answer as it is.
pub(super) fn send(answer: Answer) -> Delivered {
    let work: Vec<WorkId> = answer.response.start.iter().map(Assignment::work).collect();
    let sent = answer.to.send(answer.response).is_ok();
    Delivered {
        worker: answer.worker,
        lost: if sent { Vec::new() } else { work },
        failed: Vec::new(),
    }
}

/// Completes the planning in an answer, then sends it.
pub(super) async fn complete(jobs: Jobs, mut answer: Answer, contexts: Vec<Context>) -> Delivered {
    let mut failed = Vec::new();
    let mut start = Vec::new();
    for mut assignment in std::mem::take(&mut answer.response.start) {
        let work = assignment.work();
        let context = contexts.iter().find(|context| context.job == work.job());
        if let (Assignment::Plan { tables, .. }, Some(context)) = (&mut assignment, context)
            && let Err(error) = jobs.complete_plan(context, tables.values_mut()).await
        {
            failed.push(Report {
                worker: answer.worker.clone(),
                boot_id: answer.boot,
                work,
                outcome: Outcome::Failed(failure(&error)),
                wasted: api::job::Cost::default(),
            });
            continue;
        }
        start.push(assignment);
    }
    answer.response.start = start;
    Delivered { failed, ..send(answer) }
}

fn failure(error: &Error) -> TaskFailure {
    if error.is_transient() {
        return TaskFailure::Retryable(error.to_string());
    }
    TaskFailure::User {
        code: error.code(),
        detail: error.to_string(),
    }
}

impl Jobs {
    async fn complete_plan(&self, context: &Context, tables: impl Iterator<Item = &mut PlanTable>) -> Result<(), Error> {
        for table in tables {
            if let Some(name) = table.spec.dataset.clone() {
                self.inner.dataset_files.fill(&context.namespace, &name, table).await?;
            }
        }
        if let Some(output) = &context.output {
            self.inner.dataset_output.check(&context.namespace, output).await?;
        }
        Ok(())
    }
}
