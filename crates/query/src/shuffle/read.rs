//! The leaf of a stage that reads what an earlier stage wrote.

use std::fmt;
use std::sync::Arc;

use api::JobId;
use api::task::StageOutputs;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr_common::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use formats::IpcDecoder;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::facts::Facts;
use super::frame::Unframer;
use super::source::{ByteStream, FetchFailed, ShufflePart, ShuffleSource};

/// Files opened ahead of the one that is being read; order is kept.
const OPEN_AHEAD: usize = 4;

/// How the outputs of a stage become partitions of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// Partition `i` reads output `i` of every producer.
    Hash {
        /// Outputs of each producer, which are the partitions of the reader.
        outputs: usize,
    },
    /// Partition `i` reads all of producer `i`.
    Each,
    /// One partition reads all producers, one after the other.
    Concatenated,
}

/// Reads the outputs of a stage. Which files these are, and where, is only known when it runs: see [`Inputs`].
#[derive(Debug, Clone)]
pub(crate) struct ShuffleRead {
    stage: u32,
    producers: usize,
    mode: ReadMode,
    schema: SchemaRef,
    facts: Facts,
    properties: Arc<PlanProperties>,
}

/// What a task is told about the stages it reads; an extension of its session.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) job: JobId,
    pub(crate) stages: Vec<StageOutputs>,
    pub(crate) source: Arc<dyn ShuffleSource>,
}

impl ShuffleRead {
    pub(crate) fn new(stage: u32, producers: usize, mode: ReadMode, schema: SchemaRef) -> Self {
        let partitions = match mode {
            ReadMode::Hash { outputs } => outputs,
            ReadMode::Each => producers,
            ReadMode::Concatenated => 1,
        };
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Self {
            stage,
            producers,
            mode,
            schema,
            facts: Facts::default(),
            properties,
        }
    }

    /// With what is true of the rows.
    pub(crate) fn with_facts(self, facts: Facts) -> Result<Self> {
        let mut known = EquivalenceProperties::new(Arc::clone(&self.schema));
        facts.tell(&mut known)?;
        let properties = PlanProperties::clone(&self.properties).with_eq_properties(known);
        Ok(Self {
            facts,
            properties: Arc::new(properties),
            ..self
        })
    }

    pub(super) const fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) const fn stage(&self) -> u32 {
        self.stage
    }

    pub(crate) const fn producers(&self) -> usize {
        self.producers
    }

    pub(crate) const fn mode(&self) -> ReadMode {
        self.mode
    }

    /// The files of one partition, in the order in which they are read.
    fn parts(&self, partition: usize, inputs: &Inputs) -> Result<Vec<ShufflePart>> {
        let outputs = inputs.stages.iter().find(|outputs| outputs.stage == self.stage);
        let outputs = outputs.ok_or_else(|| internal_datafusion_err!("the task was not told where stage {} is", self.stage))?;
        if outputs.producers.len() != self.producers {
            return internal_err!(
                "stage {} has {} outputs, not {}",
                self.stage,
                outputs.producers.len(),
                self.producers
            );
        }
        let part = |producer: usize, output: usize| -> Result<ShufflePart> {
            let known = outputs.producers.get(producer);
            let known = known.ok_or_else(|| internal_datafusion_err!("stage {} has no partition {producer}", self.stage))?;
            Ok(ShufflePart {
                job: inputs.job,
                stage: self.stage,
                partition: u32::try_from(producer).map_err(|error| DataFusionError::External(error.into()))?,
                attempt: known.attempt,
                output: u32::try_from(output).map_err(|error| DataFusionError::External(error.into()))?,
                address: known.address.clone(),
            })
        };
        match self.mode {
            ReadMode::Hash { .. } => (0..self.producers).map(|producer| part(producer, partition)).collect(),
            ReadMode::Each => Ok(vec![part(partition, 0)?]),
            ReadMode::Concatenated => (0..self.producers).map(|producer| part(producer, 0)).collect(),
        }
    }
}

impl DisplayAs for ShuffleRead {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ShuffleRead: stage={}, producers={}, mode={:?}",
            self.stage, self.producers, self.mode
        )
    }
}

impl ExecutionPlan for ShuffleRead {
    fn name(&self) -> &'static str {
        "ShuffleRead"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            internal_err!("ShuffleRead is a leaf")
        }
    }

    fn execute(&self, partition: usize, ctx: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inputs = ctx.session_config().get_extension::<Inputs>();
        let inputs = inputs.ok_or_else(|| internal_datafusion_err!("the task was not told where its inputs are"))?;
        let parts = self.parts(partition, &inputs)?;
        let schema = Arc::clone(&self.schema);
        let batches = stream::iter(parts)
            .map(move |part| {
                let source = Arc::clone(&inputs.source);
                async move {
                    let opened = source.open(&part).await;
                    opened
                        .map(|bytes| (part.clone(), bytes))
                        .map_err(|error| failed(&part, error))
                }
            })
            .buffered(OPEN_AHEAD)
            .map_ok(move |(part, bytes)| decode(part, bytes, Arc::clone(&schema)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// A file that is being read.
struct Reading {
    bytes: ByteStream,
    frames: Unframer,
    decoder: IpcDecoder,
}

/// The batches of one file. Whatever is wrong with it, its producer is named.
fn decode(part: ShufflePart, bytes: ByteStream, schema: SchemaRef) -> BoxStream<'static, Result<RecordBatch>> {
    let start = Some(Reading {
        bytes,
        frames: Unframer::default(),
        decoder: IpcDecoder::new(),
    });
    stream::try_unfold(start, move |state| {
        let (part, schema) = (part.clone(), Arc::clone(&schema));
        async move {
            let Some(mut reading) = state else {
                return Ok(None);
            };
            loop {
                if let Some(batch) = reading.decoder.next_batch().map_err(|error| failed(&part, error))? {
                    return Ok(Some((with_schema(batch, &schema)?, Some(reading))));
                }
                if let Some(payload) = reading.frames.next().map_err(|error| failed(&part, error))? {
                    reading.decoder.feed(payload);
                    continue;
                }
                match reading.bytes.try_next().await.map_err(|error| failed(&part, error))? {
                    Some(chunk) => reading.frames.feed(chunk),
                    None if reading.frames.is_complete() && reading.decoder.is_complete() => return Ok(None),
                    None => return Err(failed(&part, "it ends before its end")),
                }
            }
        }
    })
    .boxed()
}

/// The reader's schema, which may differ from the writer's in metadata and nullability.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        batch.columns().to_vec(),
        &options,
    )?)
}

fn failed(part: &ShufflePart, error: impl fmt::Display) -> DataFusionError {
    DataFusionError::External(Box::new(FetchFailed::new(part, error)))
}
