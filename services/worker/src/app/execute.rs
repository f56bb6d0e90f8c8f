//! One piece of work, from the order to its outcome.

use std::sync::Arc;

use api::JobId;
use api::task::{Assignment, Outcome, StageOutputs, TaskFailure, TaskId, TaskOutput};
use lifecycle::CancellationToken;
use query::{Engine, PlanRequest, RunTask, ShuffleDir, ShuffleSource, Sink, TaskProgress};
use tokio::sync::RwLock;
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
    /// Read by tasks that share the memory, written by one that needs all of it.
    pub(super) memory: RwLock<()>,
}

/// A task as it was ordered.
struct Order {
    task: TaskId,
    inputs: Vec<StageOutputs>,
    last: bool,
    partitions: u32,
    dataset: Option<String>,
    alone: bool,
}

impl Order {
    /// What the files of the task are for.
    const fn sink(&self) -> Sink {
        match (self.last, &self.dataset) {
            (false, _) => Sink::Shuffle,
            (true, None) => Sink::Result,
            (true, Some(_)) => Sink::Dataset,
        }
    }
}

impl Executor {
    /// Never fails and never panics: whatever happens is an outcome.
    pub(super) async fn execute(
        &self,
        assignment: Assignment,
        progress: Arc<TaskProgress>,
        cancel: CancellationToken,
    ) -> Outcome {
        let span = info_span!("work", id = ?assignment.work());
        let outcome = match assignment {
            Assignment::Plan {
                job,
                query,
                tables,
                target_partitions,
                now_ms,
                namespace,
                ..
            } => {
                let request = PlanRequest {
                    sql: query,
                    tables,
                    target_partitions,
                    now_ms,
                    namespace,
                };
                let planning = self.plan(job, request, &cancel).instrument(span);
                planning.await.map(Outcome::Planned)
            }
            Assignment::Run {
                task,
                inputs,
                last,
                partitions,
                dataset,
                alone,
            } => {
                let order = Order {
                    task,
                    inputs,
                    last,
                    partitions,
                    dataset,
                    alone,
                };
                let running = self.run(order, progress, cancel).instrument(span);
                running.await.map(Outcome::Done)
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

    async fn run(&self, order: Order, progress: Arc<TaskProgress>, cancel: CancellationToken) -> Result<TaskOutput, TaskFailure> {
        let task = order.task;
        let plan = self.plans.get(&task).await;
        let plan = plan.map_err(|error| TaskFailure::Retryable(format!("the stage's plan could not be fetched: {error}")))?;
        let run = RunTask {
            task,
            plan,
            inputs: order.inputs.clone(),
            source: Arc::clone(&self.source),
            attempt: self.shuffle.attempt(&task),
            sink: order.sink(),
            progress: Arc::clone(&progress),
            cancel: cancel.clone(),
        };
        let engine = self.engine.clone();
        let computing = async {
            // Whoever needs all of the memory waits for the others to give back theirs, and holds up those that come after.
            let (_shared, _whole);
            if order.alone {
                _whole = cancel.run_until_cancelled(self.memory.write()).await.ok_or_else(cancelled)?;
            } else {
                _shared = cancel.run_until_cancelled(self.memory.read()).await.ok_or_else(cancelled)?;
            }
            Ok::<_, TaskFailure>(self.compute.run(async move { engine.run_task(run).await }).await)
        };
        let written = computing
            .await?
            .map_err(|error| TaskFailure::Retryable(error.to_string()))?
            .map_err(TaskFailure::from)?;
        let mut cost = progress.cost();
        let result = if order.last {
            let published = cancel.run_until_cancelled(self.publish(&order)).await;
            self.remove(task).await;
            Some(published.ok_or_else(cancelled)??)
        } else {
            cost.bytes_shuffled = written.bytes;
            None
        };
        self.metrics.cost(&cost);
        Ok(TaskOutput {
            rows: written.rows,
            bytes: written.bytes,
            result,
            cost,
        })
    }

    async fn publish(&self, order: &Order) -> Result<api::task::ResultPart, TaskFailure> {
        let task = &order.task;
        let published = match &order.dataset {
            None => {
                self.results
                    .publish(task, &self.shuffle.file(task, 0), order.partitions)
                    .await
            }
            Some(prefix) => self.results.publish_dataset(task, &self.shuffle.dataset(task), prefix).await,
        };
        published.map_err(|error| TaskFailure::Retryable(error.to_string()))
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
