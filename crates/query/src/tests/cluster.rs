//! The smallest scheduler there can be: stages in order, tasks one by one, lost inputs recomputed. And the engine in one piece,
//! whose answers are the right ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api::JobId;
use api::job::TableSpec;
use api::task::{PlanTable, Producer, StageGraph, StageOutputs, TaskId};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{JsonReadOptions, ParquetReadOptions, SessionContext};
use tokio_util::sync::CancellationToken;

use super::data;
use crate::plan::Shape;
use crate::{
    DataDirs, Engine, EngineSettings, Failure, PlanRequest, RunTask, ShuffleDir, ShuffleSource, Sink, TaskProgress, Written,
};

/// What `now()` is: 2024-05-06 07:08:09 UTC.
const NOW_MS: u64 = 1_714_979_289_000;
/// Whose jobs are planned.
pub(super) const NAMESPACE: &str = "team";

/// An engine, tables and a place for files.
pub(super) struct Cluster {
    pub(super) engine: Engine,
    pub(super) shuffle: ShuffleDir,
    pub(super) tables: BTreeMap<String, TableSpec>,
    /// Tables with files that the leader knows.
    pub(super) planned: BTreeMap<String, PlanTable>,
    pub(super) dir: tempfile::TempDir,
}

/// What happened while a job ran.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) runs: usize,
    pub(super) lost: usize,
    pub(super) rows: u64,
    pub(super) spilled: u64,
}

/// The attempt that won, by stage and partition.
pub(super) type Attempts = BTreeMap<(u32, u32), u32>;

/// Called after every finished task with the job's files so far; it may take some away.
pub(super) type Sabotage<'a> = &'a mut dyn FnMut(&ShuffleDir, &TaskId);

impl Cluster {
    pub(super) fn new() -> Self {
        Self::with_memory(256 << 20)
    }

    pub(super) fn with_memory(memory_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tables = data::write(&dir.path().join("data"));
        let engine = engine(dir.path(), memory_bytes);
        let shuffle = ShuffleDir::create_empty(dir.path().join("shuffle")).unwrap();
        Self {
            engine,
            shuffle,
            tables,
            planned: BTreeMap::new(),
            dir,
        }
    }

    pub(super) fn request(&self, sql: &str, target_partitions: u32) -> PlanRequest {
        let tables = self.tables.iter().map(|(name, spec)| (name.clone(), spec.clone().into()));
        PlanRequest {
            sql: sql.to_owned(),
            tables: tables.chain(self.planned.clone()).collect(),
            target_partitions,
            now_ms: NOW_MS,
            namespace: NAMESPACE.to_owned(),
        }
    }

    pub(super) async fn plan(&self, sql: &str, partitions: u32) -> StageGraph {
        self.engine
            .plan_sql(self.request(sql, partitions))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Plans a query in a given shape.
    pub(super) async fn plan_shaped(&self, sql: &str, shape: Shape) -> Result<StageGraph, crate::Error> {
        self.engine.plan_shaped(self.request(sql, 0), shape).await
    }

    /// Plans and runs a query and returns its rows.
    pub(super) async fn query(&self, sql: &str, partitions: u32) -> Vec<RecordBatch> {
        let graph = self.plan(sql, partitions).await;
        let (batches, _) = self
            .run(&graph, &mut |_, _| {})
            .await
            .unwrap_or_else(|failure| panic!("{sql}: {failure}"));
        batches
    }

    /// Runs a graph; every attempt of a task gets a new number.
    pub(super) async fn run(&self, graph: &StageGraph, sabotage: Sabotage<'_>) -> Result<(Vec<RecordBatch>, Seen), Failure> {
        let job = JobId::new_now();
        let mut seen = Seen::default();
        let mut attempts = BTreeMap::<(u32, u32), u32>::new();
        for (number, stage) in graph.stages.iter().enumerate() {
            let mut todo: Vec<_> = (0..stage.partitions)
                .rev()
                .map(|partition| (number as u32, partition))
                .collect();
            while let Some((stage, partition)) = todo.pop() {
                seen.runs += 1;
                assert!(seen.runs < 1_000, "the job does not end");
                let attempt = attempts.get(&(stage, partition)).map_or(0, |attempt| attempt + 1);
                let task = TaskId {
                    job,
                    stage,
                    partition,
                    attempt,
                };
                match self.run_task(graph, task, &attempts).await {
                    Ok(written) => {
                        attempts.insert((stage, partition), attempt);
                        seen.rows += written.rows;
                        seen.spilled += written.spilled_bytes;
                        sabotage(&self.shuffle, &task);
                    }
                    Err(Failure::Fetch(lost)) => {
                        seen.lost += 1;
                        todo.push((stage, partition));
                        todo.push((lost.stage, lost.partition));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        let stage = graph.stages.len() as u32 - 1;
        let mut batches = Vec::new();
        for partition in 0..graph.stages[stage as usize].partitions {
            let task = TaskId {
                job,
                stage,
                partition,
                attempt: attempts[&(stage, partition)],
            };
            let file = std::fs::File::open(self.shuffle.file(&task, 0)).unwrap();
            batches.extend(StreamReader::try_new(file, None).unwrap().map(Result::unwrap));
        }
        self.shuffle.forget(job).unwrap();
        Ok((batches, seen))
    }

    pub(super) async fn run_task(&self, graph: &StageGraph, task: TaskId, attempts: &Attempts) -> Result<Written, Failure> {
        let last = task.stage as usize + 1 == graph.stages.len();
        let sink = if last { Sink::Result } else { Sink::Shuffle };
        self.run_task_into(graph, task, attempts, sink).await
    }

    pub(super) async fn run_task_into(
        &self,
        graph: &StageGraph,
        task: TaskId,
        attempts: &Attempts,
        sink: Sink,
    ) -> Result<Written, Failure> {
        let run = RunTask {
            sink,
            ..self.task(graph, task, attempts)
        };
        self.engine.run_task(run).await
    }

    pub(super) async fn run_task_from(
        &self,
        graph: &StageGraph,
        task: TaskId,
        attempts: &Attempts,
        source: Arc<dyn ShuffleSource>,
    ) -> Result<Written, Failure> {
        let run = RunTask {
            source,
            ..self.task(graph, task, attempts)
        };
        self.engine.run_task(run).await
    }

    pub(super) async fn run_task_watched(
        &self,
        graph: &StageGraph,
        task: TaskId,
        attempts: &Attempts,
    ) -> Result<(Written, Arc<TaskProgress>), Failure> {
        let run = self.task(graph, task, attempts);
        let progress = Arc::clone(&run.progress);
        Ok((self.engine.run_task(run).await?, progress))
    }

    fn task(&self, graph: &StageGraph, task: TaskId, attempts: &Attempts) -> RunTask {
        let stage = &graph.stages[task.stage as usize];
        let outputs = |input: u32| StageOutputs {
            stage: input,
            producers: (0..graph.stages[input as usize].partitions)
                .map(|partition| Producer {
                    attempt: attempts[&(input, partition)],
                    address: "here:1".to_owned(),
                })
                .collect(),
        };
        RunTask {
            task,
            plan: stage.plan.clone(),
            inputs: stage.inputs.iter().copied().map(outputs).collect(),
            source: Arc::new(self.shuffle.clone()),
            attempt: self.shuffle.attempt(&task),
            sink: Sink::Shuffle,
            progress: Arc::new(TaskProgress::default()),
            cancel: CancellationToken::new(),
        }
    }

    /// The answer of the engine as others ship it, in one process.
    pub(super) async fn truth(&self, sql: &str) -> Vec<RecordBatch> {
        let ctx = SessionContext::new();
        let data = self.dir.path().join("data");
        let path = |name: &str| data.join(name).to_str().unwrap().to_owned();
        ctx.register_parquet("orders", path("orders/"), ParquetReadOptions::default())
            .await
            .unwrap();
        ctx.register_csv("customers", path("customers.csv"), Default::default())
            .await
            .unwrap();
        let json = JsonReadOptions::default().file_extension(".ndjson");
        ctx.register_json("events", path("events.ndjson"), json).await.unwrap();
        ctx.sql(sql).await.unwrap().collect().await.unwrap()
    }
}

pub(super) fn engine(dir: &Path, memory_bytes: usize) -> Engine {
    Engine::try_new(EngineSettings {
        memory_bytes,
        spill_dir: dir.join("spill"),
        spill_limit_bytes: 1 << 30,
        data_dirs: DataDirs::try_new([dir.join("data")]).unwrap(),
        ..EngineSettings::default()
    })
    .unwrap()
}

/// Rows as text, floats to six digits (sums depend on the order of their terms).
pub(super) fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let batches: Vec<_> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let cell = |cell: &str| match cell.trim().parse::<f64>() {
        Ok(number) if cell.contains('.') => format!("{number:.5e}"),
        _ => cell.trim().to_owned(),
    };
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(1);
    lines
        .map(|line| line.split('|').map(cell).collect::<Vec<_>>().join("|"))
        .collect()
}

/// The same without an order.
pub(super) fn sorted_rows(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = rows(batches);
    rows.sort();
    rows
}
