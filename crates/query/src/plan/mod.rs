//! From SQL to a graph of stages.

mod broadcast;
mod cut;
mod deterministic;
mod dialect;
mod explain;
mod near;
mod nesting;
mod scalar;
mod scans;
mod shape;
mod sides;
mod stage;
mod statement;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use api::job::Column;
use api::task::{PlanTable, Stage, StageGraph};
use datafusion::arrow::datatypes::Schema;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;

pub(crate) use shape::Shape;
pub(crate) use stage::{StagePlan, decode};
use statement::{Parsed, Purpose};

use crate::bounded::bound;
use crate::files::{self, Sources};
use crate::{Error, session};

/// Largest plan of one stage: what the control store takes in one request, with room for the rest of it.
const MAX_STAGE_BYTES: usize = 1024 * 1024;

/// Largest plan in all: what a worker's report may be, with room for the rest of it.
const MAX_PLAN_BYTES: usize = 12 * 1024 * 1024;

/// What is planned.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) tables: BTreeMap<String, PlanTable>,
    /// What `now()` is.
    pub(crate) now_ms: u64,
    /// Whose keys `kv:` tables read.
    pub(crate) namespace: String,
}

/// Turns a query into stages.
pub(crate) async fn plan(query: &Query, sources: &Sources, runtime: &Arc<RuntimeEnv>, shape: Shape) -> Result<StageGraph, Error> {
    let parsed = statement::parse(&query.sql)?;
    let ctx = broadcast::session(session::distributed(shape), runtime);
    let purpose = parsed.purpose;
    let (mut state, logical) = analyse(&ctx, parsed.query, query, sources).await?;
    let (stages, columns) = match in_stages(&mut state, &logical, &ctx, shape).await {
        Ok(cut) => cut,
        Err(reason) => {
            tracing::info!(%reason, "query runs as one task");
            // When it cannot be planned that way either, it is the query's fault.
            alone(query, sources, runtime, &reason.strip_backtrace()).await?
        }
    };
    let graph = finish(stages, columns)?;
    match purpose {
        Purpose::Rows => Ok(graph),
        Purpose::Explain => explain::rows_of(&graph, &logical, &ctx),
        Purpose::Write(output) => Ok(StageGraph {
            output: Some(output),
            ..graph
        }),
    }
}

/// The stages and the columns of what they make; an error is why there is no such plan.
async fn in_stages(
    state: &mut SessionState,
    logical: &LogicalPlan,
    ctx: &SessionContext,
    shape: Shape,
) -> Result<(Vec<Stage>, Vec<Column>), DataFusionError> {
    let mut physical = physical_plan(state, logical).await?;
    if !scalar::is_one_task(&physical) && sides::bytes_read(&physical) <= shape.whole_below_bytes {
        state.config_mut().options_mut().execution.target_partitions = 1;
        physical = physical_plan(state, logical).await?;
    }
    let columns = columns(&physical.schema());
    Ok((cut::cut(physical, ctx)?, columns))
}

/// The physical plan of a query that runs whole, as one task.
pub(crate) async fn plan_whole(
    query: &Query,
    sources: &Sources,
    runtime: &Arc<RuntimeEnv>,
) -> Result<(SessionContext, Arc<dyn ExecutionPlan>), Error> {
    let Parsed { query: statement, .. } = statement::parse(&query.sql)?;
    let ctx = bound(SessionContext::new_with_config_rt(session::whole(), Arc::clone(runtime)));
    let (state, logical) = analyse(&ctx, statement, query, sources).await?;
    let physical = physical_plan(&state, &logical).await;
    Ok((ctx, physical.map_err(|error| Error::from_engine(&error))?))
}

async fn analyse(
    ctx: &SessionContext,
    statement: datafusion::sql::parser::Statement,
    query: &Query,
    sources: &Sources,
) -> Result<(SessionState, LogicalPlan), Error> {
    files::register(ctx, &query.namespace, &query.tables, sources).await?;
    let mut state = ctx.state();
    // The engine puts this into the plan wherever the query asks for the time: all tasks, and all attempts, see the same.
    state.execution_props_mut().query_execution_start_time = Some((UNIX_EPOCH + Duration::from_millis(query.now_ms)).into());
    let logical = statement::analyse(&state, statement, query).await?;
    let optimised = state.optimize(&logical).map_err(|error| Error::from_engine(&error))?;
    Ok((state, optimised))
}

async fn physical_plan(state: &SessionState, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    with_distinct_names(state.query_planner().create_physical_plan(logical, state).await?)
}

/// The query as one stage of one task that plans it again: for what cannot be cut or encoded.
async fn alone(
    query: &Query,
    sources: &Sources,
    runtime: &Arc<RuntimeEnv>,
    reason: &str,
) -> Result<(Vec<Stage>, Vec<Column>), Error> {
    let (_, physical) = plan_whole(query, sources, runtime).await?;
    let text = displayable(physical.as_ref()).indent(false);
    let stage = Stage {
        plan: StagePlan::Sql(query.clone()).encode()?,
        partitions: 1,
        output_partitions: 1,
        inputs: Vec::new(),
        deterministic: deterministic::is_deterministic(&physical),
        display: format!("runs as one task: {reason}\n{text}"),
        blobs: Vec::new(),
    };
    Ok((vec![stage], columns(&physical.schema())))
}

fn finish(stages: Vec<Stage>, columns: Vec<Column>) -> Result<StageGraph, Error> {
    if let Some((number, stage)) = stages
        .iter()
        .enumerate()
        .find(|(_, stage)| stage.plan.len() > MAX_STAGE_BYTES)
    {
        return Err(Error::TooLarge(format!(
            "the plan of stage {number} takes {} bytes, {MAX_STAGE_BYTES} are allowed: use fewer or larger input files, or a shorter query",
            stage.plan.len()
        )));
    }
    let all: usize = stages.iter().map(|stage| stage.plan.len() + stage.display.len()).sum();
    if all > MAX_PLAN_BYTES {
        return Err(Error::TooLarge(format!(
            "the plan takes {all} bytes, {MAX_PLAN_BYTES} are allowed: use fewer or larger input files, or a shorter query"
        )));
    }
    Ok(StageGraph {
        stages,
        columns,
        output: None,
    })
}

fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

/// SQL allows `SELECT a.id, b.id`; a JSON object or a Parquet file with two columns `id` loses one. Later ones become `id_2`, ….
fn with_distinct_names(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let schema = plan.schema();
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 2;
        while names.contains(&name) || (number > 2 && schema.fields().iter().any(|other| *other.name() == name)) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        names.push(name);
    }
    if names.iter().zip(schema.fields()).all(|(name, field)| name == field.name()) {
        return Ok(plan);
    }
    let expressions = names.into_iter().enumerate().map(|(index, alias)| ProjectionExpr {
        expr: Arc::new(ColumnExpr::new(schema.field(index).name(), index)),
        alias,
    });
    Ok(Arc::new(ProjectionExec::try_new(expressions, plan)?))
}
