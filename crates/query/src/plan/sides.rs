//! The two sides of joins that collect one of them: what each task must see, and what it may do again.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, PiecewiseMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use super::broadcast::emits_collected_rows;
use super::deterministic;
use crate::session::MIN_SPLIT_BYTES;
use crate::shuffle::ShuffleRead;

/// Whether every task of the join collects all of its left side.
pub(super) fn collects_left(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let hashed = plan.downcast_ref::<HashJoinExec>();
    hashed.is_some_and(|join| *join.partition_mode() == PartitionMode::CollectLeft)
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
}

/// The join with its right side in one task, if it keeps count of the rows it collected over all of its right side.
pub(super) fn with_whole_probe_side(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if !needs_whole_probe_side(&plan)? {
        return Ok(plan);
    }
    let [left, right] = plan
        .children()
        .into_iter()
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| DataFusionError::Internal("a join without two inputs".to_owned()))?;
    if right.output_partitioning().partition_count() == 1 {
        return Ok(plan);
    }
    let right: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(right));
    replace_children_if_necessary(plan, vec![left, right])
}

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

/// Whether each task may work out this plan by itself, in place of reading what one task left. Then all must come to the same
/// rows, and it must cost less than a stage does.
pub(super) fn may_be_repeated(plan: &Arc<dyn ExecutionPlan>) -> bool {
    deterministic::is_deterministic(plan) && scanned_bytes(plan).is_some_and(|bytes| bytes <= MIN_SPLIT_BYTES as u64)
}

/// Bytes of files that a cheap plan reads; `None` for one that is not cheap whatever it reads.
fn scanned_bytes(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let over_rows = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<CooperativeExec>();
    let known = over_rows || plan.is::<HashJoinExec>() || plan.is::<AggregateExec>();
    if plan.children().is_empty() {
        return Some(bytes_read(plan));
    }
    // Beyond filters, rows that another stage made may be many.
    if !known || (!over_rows && reads_stage(plan)) {
        return None;
    }
    plan.children().into_iter().map(scanned_bytes).sum()
}

/// Bytes of all files that a plan reads, each once for each time it is scanned.
pub(super) fn bytes_read(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let scan = plan.downcast_ref::<DataSourceExec>();
    // What is not read from files is part of the plan.
    let files = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    let groups = files.into_iter().flat_map(|files| files.file_groups.iter());
    let bytes = |file: &PartitionedFile| match &file.range {
        Some(range) => u64::try_from(range.end - range.start).unwrap_or(0),
        None => file.object_meta.size,
    };
    let own: u64 = groups.flat_map(|group| group.iter()).map(bytes).sum();
    own + plan.children().into_iter().map(bytes_read).sum::<u64>()
}

fn reads_stage(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ShuffleRead>() || plan.children().into_iter().any(reads_stage)
}
