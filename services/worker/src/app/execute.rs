//! One piece of work, from the order to its outcome.

use std::sync::Arc;

use api::JobId;
use api::job::Cost;
use api::task::{Assignment, Outcome, StageOutputs, TaskFailure, TaskId, TaskOutput};
use lifecycle::CancellationToken;
use query::{Engine, PlanRequest, RunTask, ShuffleDir, ShuffleSource, TaskProgress};
use tracing::{Instrument, info_span};

use super::Compute;
use super::plans::Plans;
use super::results::Results;
use crate::metrics::WorkerMetrics;

/// Executes pieces of work.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) engine: Engine,
    pub(super) compute: Compute,
    pub(super) plans: Plans,
    pub(super) source: Arc<dyn ShuffleSource>,
    pub(super) shuffle: ShuffleDir,
    pub(super) results: Results,
    pub(super) metrics: WorkerMetrics,
}

impl Executor {
    /// Never fails and never panics: whatever happens is an outcome.
    pub(super) async fn execute(&self, assignment: Assignment, cancel: CancellationToken) -> Outcome {
        let span = info_span!("work", id = ?assignment.work());
        let outcome = match assignment {
            Assignment::Plan {
                job,
                query,
                tables,
                target_partitions,
                now_ms,
                ..
            } => {
                let request = PlanRequest {
                    sql: query,
                    tables,
                    target_partitions,
                    now_ms,
                };
                self.plan(job, request, &cancel).instrument(span).await.map(Outcome::Planned)
            }
            Assignment::Run {
                task,
                inputs,
                last,
                partitions,
                ..
            } => {
                let result_of = last.then_some(partitions);
                self.run(task, inputs, result_of, cancel)
                    .instrument(span)
                    .await
                    .map(Outcome::Done)
            }
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    async fn plan(
        &self,
        job: JobId,
        request: PlanRequest,
        cancel: &CancellationToken,
    ) -> Result<api::task::StageGraph, TaskFailure> {
        let engine = self.engine.clone();
        let planning = self.compute.run(async move { engine.plan_sql(request).await });
        let planned = cancel.run_until_cancelled(planning).await;
        let planned = planned
            .ok_or_else(cancelled)?
            .map_err(|error| TaskFailure::Retryable(error.to_string()))?;
        planned.map_err(|error| {
            tracing::info!(%job, %error, "a query cannot be planned");
            match error {
                query::Error::Internal(_) => TaskFailure::Retryable(error.to_string()),
                other => TaskFailure::User {
                    code: other.code(),
                    detail: other.to_string(),
                },
            }
        })
    }

    async fn run(
        &self,
        task: TaskId,
        inputs: Vec<StageOutputs>,
        result_of: Option<u32>,
        cancel: CancellationToken,
    ) -> Result<TaskOutput, TaskFailure> {
        let plan = self.plans.get(&task).await;
        let plan = plan.map_err(|error| TaskFailure::Retryable(format!("the stage's plan could not be fetched: {error}")))?;
        let run = RunTask {
            task,
            plan,
            inputs,
            source: Arc::clone(&self.source),
            attempt: self.shuffle.attempt(&task),
            progress: Arc::new(TaskProgress::default()),
            cancel: cancel.clone(),
        };
        let engine = self.engine.clone();
        let ran = self.compute.run(async move { engine.run_task(run).await }).await;
        let written = ran
            .map_err(|error| TaskFailure::Retryable(error.to_string()))?
            .map_err(TaskFailure::from)?;
        self.metrics.spilled.inc_by(written.spilled_bytes);
        let result = match result_of {
            None => {
                self.metrics.shuffle_written.inc_by(written.bytes);
                None
            }
            Some(partitions) => {
                let file = self.shuffle.file(&task, 0);
                let publishing = self.results.publish(&task, &file, partitions);
                let published = cancel.run_until_cancelled(publishing).await;
                self.remove(task).await;
                Some(
                    published
                        .ok_or_else(cancelled)?
                        .map_err(|error| TaskFailure::Retryable(error.to_string()))?,
                )
            }
        };
        Ok(TaskOutput {
            rows: written.rows,
            bytes: written.bytes,
            result,
            cost: Cost::default(),
        })
    }

    /// A result is nobody's input; once published, or given up, its file goes.
    async fn remove(&self, task: TaskId) {
        let shuffle = self.shuffle.clone();
        let removed = tokio::task::spawn_blocking(move || shuffle.remove_attempt(&task)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%task, %error, "a result's file could not be removed");
        }
    }
}

fn cancelled() -> TaskFailure {
    TaskFailure::Retryable("the work was cancelled".to_owned())
}
