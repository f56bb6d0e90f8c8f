//! One task, from bytes to files.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::task::{StageOutputs, TaskId};
use bytes::Bytes;
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::{BatchPartitioner, RepartitionExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use datafusion::prelude::SessionContext;
use futures::{FutureExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::prepare::prepare;
use super::{Failure, scanned};
use crate::plan::{self, StagePlan};
use crate::shuffle::{Inputs, ShuffleSource, ShuffleWriter};
use crate::stack::on_large_stack;
use crate::{DataDirs, session};

/// What to run, and where to leave what it makes.
#[derive(Debug, Clone)]
pub struct RunTask {
    /// Which task.
    pub task: TaskId,
    /// The stage's plan.
    pub plan: Bytes,
    /// Where the outputs of earlier stages are.
    pub inputs: Vec<StageOutputs>,
    /// How to get at them.
    pub source: Arc<dyn ShuffleSource>,
    /// The directory of the attempt, which appears when the task is done.
    pub attempt: PathBuf,
    /// Counts while it runs.
    pub progress: Arc<TaskProgress>,
    /// Stops it.
    pub cancel: CancellationToken,
}

/// What a running task has done so far.
#[derive(Debug, Default)]
pub struct TaskProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl TaskProgress {
    /// Rows written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of rows written, as they lie in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What a task left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows over all outputs.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that went to disk and back because memory was short.
    pub spilled_bytes: u64,
}

/// Runs a task to its end, its failure or its cancellation. A panic inside is a failure of the task.
pub(crate) async fn run(task: RunTask, dirs: &DataDirs, runtime: &Arc<RuntimeEnv>) -> Result<Written, Failure> {
    let cancel = task.cancel.clone();
    let work = AssertUnwindSafe(execute(task, dirs, runtime)).catch_unwind();
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Failure::Cancelled),
        outcome = work => outcome.unwrap_or_else(|panic| Err(Failure::Retryable(format!("the task panicked: {}", text_of(panic.as_ref()))))),
    }
}

async fn execute(task: RunTask, dirs: &DataDirs, runtime: &Arc<RuntimeEnv>) -> Result<Written, Failure> {
    let plan = StagePlan::decode(&task.plan).map_err(Failure::Retryable)?;
    let (plan, ctx) = match plan {
        StagePlan::Physical(bytes) => {
            let inputs = Inputs {
                job: task.task.job,
                stages: task.inputs.clone(),
                source: Arc::clone(&task.source),
            };
            let config = session::task().with_extension(Arc::new(inputs));
            let ctx = SessionContext::new_with_config_rt(config, Arc::clone(runtime)).task_ctx();
            (plan::decode(&bytes, &ctx)?, ctx)
        }
        StagePlan::Sql(query) => {
            let (dirs, runtime) = (dirs.clone(), Arc::clone(runtime));
            let planning = on_large_stack(async move { plan::plan_whole(&query, &dirs, &runtime).await });
            let (ctx, plan) = planning.await.map_err(Failure::Retryable)??;
            (plan, ctx.task_ctx())
        }
    };
    let partition = task.task.partition as usize;
    let (input, hash) = write_specification(prepare(plan, &task.cancel)?);
    if partition >= input.output_partitioning().partition_count() {
        return Err(Failure::Retryable(format!("the stage has no partition {partition}")));
    }
    write(&task, &input, hash, ctx).await.map_err(|failure| match failure {
        Failure::User { code, detail } => Failure::User {
            code,
            detail: detail + &scanned::describe(&input, partition),
        },
        other => other,
    })
}

async fn write(
    task: &RunTask,
    input: &Arc<dyn ExecutionPlan>,
    hash: Option<Hashed>,
    ctx: Arc<TaskContext>,
) -> Result<Written, Failure> {
    let mut rows = input.execute(task.task.partition as usize, ctx)?;
    let outputs = hash.as_ref().map_or(1, |(_, outputs)| *outputs);
    let mut writer = ShuffleWriter::create(&task.attempt, outputs, &input.schema())?;
    let partitioner = hash.map(|(by, outputs)| BatchPartitioner::new_hash_partitioner(by, outputs, Time::default()));
    let mut partitioner = partitioner.transpose()?;
    while let Some(batch) = rows.try_next().await? {
        task.progress.add(batch.num_rows(), batch.get_array_memory_size());
        match &mut partitioner {
            Some(partitioner) => partitioner.partition(batch, |output, batch| writer.write(output, batch))?,
            None => writer.write(0, batch)?,
        }
    }
    let bytes = writer.publish()?;
    Ok(Written {
        rows: task.progress.rows(),
        bytes,
        spilled_bytes: spilled(input),
    })
}

/// What rows are hashed by, and into how many outputs.
type Hashed = (Vec<PhysicalExprRef>, usize);

/// A hash repartition at the root says how to write; everything below it is what to run.
fn write_specification(plan: Arc<dyn ExecutionPlan>) -> (Arc<dyn ExecutionPlan>, Option<Hashed>) {
    if let Some(repartition) = plan.downcast_ref::<RepartitionExec>()
        && let Partitioning::Hash(by, outputs) = repartition.partitioning()
    {
        return (Arc::clone(repartition.input()), Some((by.clone(), *outputs)));
    }
    (plan, None)
}

fn spilled(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.spilled_bytes()).unwrap_or(0) as u64;
    own + plan.children().into_iter().map(spilled).sum::<u64>()
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
