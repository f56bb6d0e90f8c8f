//! `EXPLAIN query`: its stages as rows, by a job like any other.

use std::fmt::Write;
use std::sync::Arc;

use api::task::{Stage, StageGraph};
use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use super::{columns, cut, finish};
use crate::Error;

/// A graph of one task whose rows (`plan_type`, `plan`) say what another graph does.
pub(super) fn rows_of(graph: &StageGraph, logical: &LogicalPlan, ctx: &SessionContext) -> Result<StageGraph, Error> {
    let mut kinds = vec!["logical plan".to_owned()];
    let mut plans = vec![logical.display_indent().to_string()];
    for (number, stage) in graph.stages.iter().enumerate() {
        kinds.push(format!("stage {number}"));
        plans.push(text(stage));
    }
    let physical = table(kinds, plans).map_err(|error| Error::from_engine(&error))?;
    let columns = columns(&physical.schema());
    let stages = cut::cut(physical, ctx).map_err(|error| Error::Internal(error.strip_backtrace()))?;
    finish(stages, columns)
}

fn text(stage: &Stage) -> String {
    let mut text = format!("tasks: {}", stage.partitions);
    if stage.output_partitions > 1 {
        // Writing to a string does not fail.
        let _ = write!(text, ", hashed into {}", stage.output_partitions);
    }
    if !stage.inputs.is_empty() {
        let inputs: Vec<_> = stage.inputs.iter().map(u32::to_string).collect();
        let _ = write!(text, ", reads stages {}", inputs.join(", "));
    }
    if !stage.deterministic {
        text.push_str(", not repeatable");
    }
    text + "\n" + stage.display.trim_end()
}

fn table(kinds: Vec<String>, plans: Vec<String>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let field = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field("plan_type"), field("plan")]));
    let (kinds, plans) = (StringArray::from(kinds), StringArray::from(plans));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(kinds), Arc::new(plans)])?;
    Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?)
}
