//! What is done to a decoded plan before it runs: choices that do not travel with plans.
//!
//! - scans of texts read them through a guard, and unpack them, and scans of Parquet files look at pages first: see [`guarded`];
//! - merges break ties by position and not by who was polled more often: the same rows in the same order each time;
//! - joins, which may make any number of rows from one batch, let others run now and then, and so can be cancelled.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use tokio_util::sync::CancellationToken;

use super::interruptible::Interruptible;
use crate::files::guarded;

/// Prepares a plan whose running `cancel` ends.
pub(super) fn prepare(
    plan: Arc<dyn ExecutionPlan>,
    ctx: &TaskContext,
    cancel: &CancellationToken,
) -> Result<Arc<dyn ExecutionPlan>> {
    let prepared = plan.transform_up(|node| {
        if let Some(scan) = guarded(&node, ctx)? {
            return Ok(Transformed::yes(scan));
        }
        if let Some(merge) = node.downcast_ref::<SortPreservingMergeExec>() {
            return Ok(Transformed::yes(stable(merge)));
        }
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            return Ok(Transformed::yes(
                Arc::new(CooperativeExec::new(interruptible(join, cancel)?)) as _
            ));
        }
        if node.is::<HashJoinExec>() || node.is::<SortMergeJoinExec>() || node.is::<CrossJoinExec>() {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as _));
        }
        Ok(Transformed::no(node))
    });
    prepared.data()
}

fn stable(merge: &SortPreservingMergeExec) -> Arc<dyn ExecutionPlan> {
    let stable = SortPreservingMergeExec::new(merge.expr().clone(), Arc::clone(merge.input())).with_fetch(merge.fetch());
    Arc::new(stable.with_round_robin_repartition(false))
}

fn interruptible(join: &NestedLoopJoinExec, cancel: &CancellationToken) -> Result<Arc<dyn ExecutionPlan>> {
    let filter = join.filter().map(|filter| {
        let condition = Interruptible::new(Arc::clone(filter.expression()), cancel.clone());
        JoinFilter::new(
            Arc::new(condition),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )
    });
    let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
    let projection = join.projection().as_ref().map(|columns| columns.to_vec());
    Ok(Arc::new(NestedLoopJoinExec::try_new(
        left,
        right,
        filter,
        join.join_type(),
        projection,
    )?))
}
