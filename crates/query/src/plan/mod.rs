//! From SQL to a graph of stages.

mod cut;
mod deterministic;
mod nesting;
mod stage;
mod statement;
mod subquery;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::job::Column;
use api::task::{PlanTable, Stage, StageGraph};
use datafusion::arrow::datatypes::Schema;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};

pub(crate) use stage::{StagePlan, decode};

use crate::files::{self, Sources};
use crate::{Error, session};

/// Largest plan of one stage: what the control store takes in one request, with room for the rest of it.
const MAX_STAGE_BYTES: usize = 1024 * 1024;
/// More tasks in one stage than this serve nobody.
const MAX_PARTITIONS: u32 = 1024;

/// What is planned.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) tables: BTreeMap<String, PlanTable>,
}

/// Turns a query into stages.
pub(crate) async fn plan(
    query: &Query,
    sources: &Sources,
    runtime: &Arc<RuntimeEnv>,
    partitions: u32,
) -> Result<StageGraph, Error> {
    let partitions = partitions.clamp(1, MAX_PARTITIONS) as usize;
    let (ctx, logical) = analyse(query, sources, runtime, session::distributed(partitions)).await?;
    if subquery::may_return_many_rows(&logical) {
        return alone(query, sources, runtime, "a scalar subquery might return several rows").await;
    }
    let physical = ctx
        .state()
        .create_physical_plan(&logical)
        .await
        .map_err(|error| Error::from_engine(&error))?;
    let physical = with_distinct_names(physical)?;
    let columns = columns(&physical.schema());
    match cut::cut(physical, &ctx) {
        Ok(stages) => finish(stages, columns),
        Err(reason) => {
            tracing::info!(%reason, "query runs as one task");
            alone(query, sources, runtime, &reason.strip_backtrace()).await
        }
    }
}

/// The physical plan of a query that runs whole, as one task.
pub(crate) async fn plan_whole(
    query: &Query,
    sources: &Sources,
    runtime: &Arc<RuntimeEnv>,
) -> Result<(SessionContext, Arc<dyn ExecutionPlan>), Error> {
    let (ctx, logical) = analyse(query, sources, runtime, session::whole()).await?;
    let physical = ctx
        .state()
        .create_physical_plan(&logical)
        .await
        .map_err(|error| Error::from_engine(&error))?;
    Ok((ctx, with_distinct_names(physical)?))
}

async fn analyse(
    query: &Query,
    sources: &Sources,
    runtime: &Arc<RuntimeEnv>,
    config: SessionConfig,
) -> Result<(SessionContext, LogicalPlan), Error> {
    let statement = statement::parse(&query.sql)?;
    let ctx = SessionContext::new_with_config_rt(config, Arc::clone(runtime));
    files::register(&ctx, &query.tables, sources).await?;
    let logical = statement::analyse(&ctx, statement, query).await?;
    Ok((ctx, logical))
}

/// The query as one stage of one task that plans it again: for what cannot be cut or encoded.
async fn alone(query: &Query, sources: &Sources, runtime: &Arc<RuntimeEnv>, reason: &str) -> Result<StageGraph, Error> {
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
    finish(vec![stage], columns(&physical.schema()))
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
fn with_distinct_names(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, Error> {
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
    let renamed = ProjectionExec::try_new(expressions, plan).map_err(|error| Error::from_engine(&error))?;
    Ok(Arc::new(renamed))
}
