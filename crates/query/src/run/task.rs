//! One task, from bytes to files.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use api::task::{StageOutputs, TaskId};
use bytes::Bytes;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::repartition::{BatchPartitioner, RepartitionExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use datafusion::prelude::SessionContext;
use futures::{FutureExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::pool::TaskPool;
use super::prepare::prepare;
use super::{Failure, TaskProgress, scanned};
use crate::bounded::bound;
use crate::files::{Metered, Sources};
use crate::plan::{self, StagePlan};
use crate::session;
use crate::shuffle::{Inputs, ShuffleSource, Sink, Writer};
use crate::stack::on_large_stack;

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
    /// What the files are for, and so what they are.
    pub sink: Sink,
    /// Counts while it runs.
    pub progress: Arc<TaskProgress>,
    /// Stops it.
    pub cancel: CancellationToken,
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
pub(crate) async fn run(task: RunTask, sources: &Sources, runtime: &RuntimeEnv) -> Result<Written, Failure> {
    let cancel = task.cancel.clone();
    let meter = Arc::clone(task.progress.meter());
    let place = task.attempt.clone();
    let work = AssertUnwindSafe(meter.measure(execute(task, sources, runtime))).catch_unwind();
    let outcome = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Failure::Cancelled),
        outcome = work => outcome.unwrap_or_else(|panic| Err(Failure::Retryable(format!("the task panicked: {}", text_of(panic.as_ref()))))),
    };
    outcome.map_err(|failure| failure.in_directory(&place))
}

async fn execute(task: RunTask, sources: &Sources, runtime: &RuntimeEnv) -> Result<Written, Failure> {
    let runtime = Arc::new(runtime_of(&task, runtime));
    let plan = StagePlan::decode(&task.plan).map_err(Failure::Retryable)?;
    let (plan, ctx) = match plan {
        StagePlan::Physical(bytes) => {
            let inputs = Inputs {
                job: task.task.job,
                stages: task.inputs.clone(),
                source: Arc::clone(&task.source),
            };
            let config = session::task().with_extension(Arc::new(inputs));
            let ctx = bound(SessionContext::new_with_config_rt(config, Arc::clone(&runtime))).task_ctx();
            (plan::decode(&bytes, &ctx)?, ctx)
        }
        StagePlan::Sql(query) => {
            let (sources, runtime) = (sources.clone(), Arc::clone(&runtime));
            let planning = on_large_stack(async move { plan::plan_whole(&query, &sources, &runtime).await });
            let (ctx, plan) = planning.await.map_err(Failure::Retryable)??;
            (plan, ctx.task_ctx())
        }
    };
    let partition = task.task.partition as usize;
    let (input, hash) = write_specification(prepare(plan, &ctx, &task.cancel)?);
    if partition >= input.output_partitioning().partition_count() {
        return Err(Failure::Retryable(format!("the stage has no partition {partition}")));
    }
    scanned::unchanged(&input, partition, &ctx).await?;
    task.progress.runs(&input);
    write(&task, &input, hash, ctx)
        .await
        .map_err(|failure| failure.in_files(&scanned::describe(&input, partition)))
}

/// The engine's runtime with the task's meter on its memory and on what it reads.
fn runtime_of(task: &RunTask, shared: &RuntimeEnv) -> RuntimeEnv {
    let meter = task.progress.meter();
    let pool: Arc<dyn MemoryPool> = Arc::new(TaskPool::new(Arc::clone(&shared.memory_pool), Arc::clone(meter)));
    let stores = Metered::new(
        Arc::clone(&shared.object_store_registry),
        Arc::clone(meter),
        Arc::clone(&pool),
    );
    RuntimeEnv {
        memory_pool: pool,
        object_store_registry: Arc::new(stores),
        ..shared.clone()
    }
}

async fn write(
    task: &RunTask,
    input: &Arc<dyn ExecutionPlan>,
    hash: Option<Hashed>,
    ctx: Arc<TaskContext>,
) -> Result<Written, Failure> {
    let mut rows = input.execute(task.task.partition as usize, ctx)?;
    let outputs = hash.as_ref().map_or(1, |(_, outputs)| *outputs);
    let mut writer = Writer::create(&task.attempt, task.sink, outputs, &input.schema())?;
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
        spilled_bytes: task.progress.spilled_bytes(),
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

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
