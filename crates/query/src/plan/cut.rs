//! Cuts a physical plan into stages, at every place where rows must change tasks.
//!
//! | node | becomes |
//! |---|---|
//! | hash repartition | a stage that ends in it (it stays, as the write specification), read by hash |
//! | coalesce | a stage of what is below, read one producer after the other: always in the same order |
//! | sort-preserving merge | a stage of what is below, read as one sorted stream per producer |
//! | scalar subquery | a stage of the subquery, read by every stage that uses its value |
//! | collected side of a join | a stage, unless every task had better work it out by itself |
//!
//! A stage's task runs one partition and sees nothing of the others, so operators that share state between partitions must be
//! given all of the rows that concern them: joins that emit rows of their collected side need the whole other side in one task.

use std::sync::Arc;

use api::task::Stage;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, displayable};
use datafusion::prelude::SessionContext;

use super::scalar::{self, Scope};
use super::{StagePlan, deterministic, near, scans, sides, windows};
use crate::shuffle::{Facts, ReadMode, ShuffleRead};

/// The stages of a plan, producers before consumers. An error means that the plan cannot be cut, and why.
pub(super) fn cut(plan: Arc<dyn ExecutionPlan>, ctx: &SessionContext) -> Result<Vec<Stage>> {
    let mut cutter = Cutter {
        ctx,
        stages: Vec::new(),
        scope: None,
    };
    let root = cutter.cut(scans::for_tasks(plan)?)?;
    cutter.push(&root, 1)?;
    Ok(cutter.stages)
}

struct Cutter<'a> {
    ctx: &'a SessionContext,
    stages: Vec<Stage>,
    /// Subqueries of the query that is being cut.
    scope: Option<Scope>,
}

impl Cutter<'_> {
    fn cut(&mut self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(subqueries) = plan.downcast_ref::<ScalarSubqueryExec>()
            && !scalar::is_one_task(&plan)
        {
            return self.cut_subqueries(subqueries);
        }
        let plan = sides::with_whole_probe_side(plan)?;
        let mut children = plan
            .children()
            .into_iter()
            .cloned()
            .map(|child| self.cut(child))
            .collect::<Result<Vec<_>>>()?;
        if sides::collects_left(&plan)
            && let [left, right] = children.as_mut_slice()
            && partitions(right) > 1
            && !sides::may_be_repeated(left)
        {
            *left = self.stage_of(left)?;
        }
        match children.as_slice() {
            [input] if plan.is::<RepartitionExec>() => self.cut_repartition(&plan, Arc::clone(input)),
            [input] if plan.is::<CoalescePartitionsExec>() => self.cut_coalesce(&plan, input),
            [input] if plan.is::<SortPreservingMergeExec>() => self.cut_merge(plan, Arc::clone(input)),
            _ => replace_children_if_necessary(plan, children),
        }
    }

    fn cut_repartition(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(repartition) = plan.downcast_ref::<RepartitionExec>() else {
            return Ok(input);
        };
        let outputs = match repartition.partitioning() {
            Partitioning::Hash(_, outputs) => *outputs,
            // Only spreads load, and every stage is spread already.
            Partitioning::RoundRobinBatch(_) => return Ok(input),
            other => return Err(DataFusionError::NotImplemented(format!("repartitioning by {other}"))),
        };
        let producers = partitions(&input);
        if outputs == 1 && producers == 1 {
            return Ok(input);
        }
        let (schema, facts) = (input.schema(), Facts::of(&input));
        let ordering = plan
            .properties()
            .output_ordering()
            .cloned()
            .filter(|_| repartition.preserve_order());
        let root = replace_children_if_necessary(Arc::clone(plan), vec![input])?;
        let stage = self.push(&root, outputs)?;
        let read = Arc::new(ShuffleRead::new(stage, producers, ReadMode::Hash { outputs }, schema).with_facts(facts)?);
        // Readers take one producer after the other, so an order kept by the repartition is to be made anew.
        Ok(match ordering {
            Some(ordering) => Arc::new(SortExec::new(ordering, read).with_preserve_partitioning(true)),
            None => read,
        })
    }

    fn cut_coalesce(&mut self, plan: &Arc<dyn ExecutionPlan>, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = match partitions(input) {
            1 => Arc::clone(input),
            _ => self.stage_of(input)?,
        };
        Ok(match plan.fetch() {
            Some(fetch) => Arc::new(GlobalLimitExec::new(input, 0, Some(fetch))),
            None => input,
        })
    }

    fn cut_merge(&mut self, plan: Arc<dyn ExecutionPlan>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let producers = partitions(&input);
        if producers == 1 {
            return replace_children_if_necessary(plan, vec![input]);
        }
        let stage = self.push(&input, 1)?;
        let read = ShuffleRead::new(stage, producers, ReadMode::Each, input.schema());
        let read = Arc::new(read.with_facts(Facts::of(&input))?);
        replace_children_if_necessary(plan, vec![read])
    }

    /// Adds a stage, and reads it whole.
    fn stage_of(&mut self, root: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let stage = self.push(root, 1)?;
        let read = ShuffleRead::new(stage, partitions(root), ReadMode::Concatenated, root.schema());
        Ok(Arc::new(read.with_facts(Facts::of(root))?))
    }

    fn cut_subqueries(&mut self, exec: &ScalarSubqueryExec) -> Result<Arc<dyn ExecutionPlan>> {
        let outer = self.scope.take();
        let mut plans = Vec::new();
        for subquery in exec.subqueries() {
            let root = self.cut(Arc::clone(&subquery.plan))?;
            plans.push(self.stage_of(&root)?);
        }
        let scope = Scope::new(exec, plans);
        self.scope = Some(scope.clone());
        let root = self.cut(Arc::clone(exec.input()))?;
        self.scope = outer;
        scope.around(root)
    }

    /// Adds a stage and returns its number.
    fn push(&mut self, root: &Arc<dyn ExecutionPlan>, outputs: usize) -> Result<u32> {
        let number = count(self.stages.len())?;
        let root = match &self.scope {
            Some(scope) => &scope.around(Arc::clone(root))?,
            None => root,
        };
        // The root of a hashed stage is a write specification: its tasks are the partitions below it.
        let executed = if is_hash_repartition(root) {
            root.children().first().copied().unwrap_or(root)
        } else {
            root
        };
        let mut inputs = Vec::new();
        collect_inputs(root, &mut inputs);
        inputs.sort_unstable();
        inputs.dedup();
        windows::check(root)?;
        let plan = StagePlan::physical(root, self.ctx.task_ctx().as_ref())?;
        self.stages.push(Stage {
            plan: plan.encode().map_err(|error| DataFusionError::External(Box::new(error)))?,
            partitions: count(partitions(executed))?,
            output_partitions: count(outputs)?,
            inputs,
            deterministic: deterministic::is_deterministic(root),
            display: displayable(root.as_ref()).indent(false).to_string(),
            blobs: near::blobs(root, partitions(executed)),
        });
        Ok(number)
    }
}

fn count(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| DataFusionError::NotImplemented(format!("{number} stages or partitions")))
}

fn partitions(plan: &Arc<dyn ExecutionPlan>) -> usize {
    plan.output_partitioning().partition_count()
}

/// Whether a node is a stage's write specification.
fn is_hash_repartition(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<RepartitionExec>()
        .is_some_and(|repartition| matches!(repartition.partitioning(), Partitioning::Hash(..)))
}

fn collect_inputs(plan: &Arc<dyn ExecutionPlan>, inputs: &mut Vec<u32>) {
    if let Some(read) = plan.downcast_ref::<ShuffleRead>() {
        inputs.push(read.stage());
    }
    for child in plan.children() {
        collect_inputs(child, inputs);
    }
}
