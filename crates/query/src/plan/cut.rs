//! Cuts a physical plan into stages, at every place where rows must change tasks.
//!
//! | node | becomes |
//! |---|---|
//! | hash repartition | a stage that ends in it (it stays, as the write specification), read by hash |
//! | coalesce | a stage of what is below, read one producer after the other: always in the same order |
//! | sort-preserving merge | a stage of what is below, read as one sorted stream per producer |
//!
//! A stage's task runs one partition and sees nothing of the others, so operators that share state between partitions must be
//! given all of the rows that concern them: joins that emit rows of their collected side need the whole other side in one task.

use std::sync::Arc;

use api::task::Stage;
use datafusion::common::JoinType;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode, PiecewiseMergeJoinExec};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, displayable};
use datafusion::prelude::SessionContext;

use super::{StagePlan, deterministic};
use crate::shuffle::{ReadMode, ShuffleRead};

/// The stages of a plan, producers before consumers. An error means that the plan cannot be cut, and why.
pub(super) fn cut(plan: Arc<dyn ExecutionPlan>, ctx: &SessionContext) -> Result<Vec<Stage>> {
    let mut cutter = Cutter { ctx, stages: Vec::new() };
    let root = cutter.cut(plan)?;
    cutter.push(&root, 1)?;
    Ok(cutter.stages)
}

struct Cutter<'a> {
    ctx: &'a SessionContext,
    stages: Vec<Stage>,
}

impl Cutter<'_> {
    fn cut(&mut self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = if needs_whole_probe_side(&plan)? {
            with_single_probe(plan)?
        } else {
            plan
        };
        let children = plan
            .children()
            .into_iter()
            .cloned()
            .map(|child| self.cut(child))
            .collect::<Result<Vec<_>>>()?;
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
        let schema = input.schema();
        let ordering = plan
            .properties()
            .output_ordering()
            .cloned()
            .filter(|_| repartition.preserve_order());
        let root = replace_children_if_necessary(Arc::clone(plan), vec![input])?;
        let stage = self.push(&root, outputs)?;
        let read = Arc::new(ShuffleRead::new(stage, producers, ReadMode::Hash { outputs }, schema));
        // Readers take one producer after the other, so an order kept by the repartition is to be made anew.
        Ok(match ordering {
            Some(ordering) => Arc::new(SortExec::new(ordering, read).with_preserve_partitioning(true)),
            None => read,
        })
    }

    fn cut_coalesce(&mut self, plan: &Arc<dyn ExecutionPlan>, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = match partitions(input) {
            1 => Arc::clone(input),
            producers => {
                let stage = self.push(input, 1)?;
                Arc::new(ShuffleRead::new(stage, producers, ReadMode::Concatenated, input.schema()))
            }
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
        let read = Arc::new(ShuffleRead::new(stage, producers, ReadMode::Each, input.schema()));
        replace_children_if_necessary(plan, vec![read])
    }

    /// Adds a stage and returns its number.
    fn push(&mut self, root: &Arc<dyn ExecutionPlan>, outputs: usize) -> Result<u32> {
        let number = count(self.stages.len())?;
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
        let plan = StagePlan::physical(root, self.ctx.task_ctx().as_ref())?;
        self.stages.push(Stage {
            plan: plan.encode().map_err(|error| DataFusionError::External(Box::new(error)))?,
            partitions: count(partitions(executed))?,
            output_partitions: count(outputs)?,
            inputs,
            deterministic: deterministic::is_deterministic(root),
            display: displayable(root.as_ref()).indent(false).to_string(),
            blobs: Vec::new(),
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

/// Whether the join keeps count of the rows it collected on its left, over all partitions of its right.
fn needs_whole_probe_side(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let collected = *join.partition_mode() == PartitionMode::CollectLeft;
        return Ok(join.null_aware || (collected && emits_collected_rows(*join.join_type())));
    }
    if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        return Ok(emits_collected_rows(*join.join_type()));
    }
    if plan.is::<PiecewiseMergeJoinExec>() {
        return Err(DataFusionError::NotImplemented("piecewise merge join".to_owned()));
    }
    Ok(false)
}

const fn emits_collected_rows(join: JoinType) -> bool {
    matches!(
        join,
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    )
}

fn with_single_probe(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let [left, right] = plan
        .children()
        .into_iter()
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| DataFusionError::Internal("a join without two inputs".to_owned()))?;
    if partitions(&right) == 1 {
        return Ok(plan);
    }
    let right: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(right));
    replace_children_if_necessary(plan, vec![left, right])
}
