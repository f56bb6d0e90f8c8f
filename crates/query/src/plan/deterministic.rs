//! Whether running a task again gives the same rows in the same order.
//!
//! Tasks read their inputs in a fixed order and merge without races, so what remains are volatile functions, and limits without
//! an order: which rows these keep depends on batch sizes and spilling.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;

/// Whether the tasks of a plan are repeatable.
pub(super) fn is_deterministic(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut volatile = false;
    let visited = plan.apply_expressions(&mut |expression| {
        volatile |= is_volatile(expression);
        Ok(if volatile {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    let sorts = plan.is::<SortExec>() || plan.is::<SortPreservingMergeExec>();
    let unordered_limit = plan.fetch().is_some() && !sorts && plan.properties().output_ordering().is_none();
    !volatile && visited.is_ok() && !unordered_limit && plan.children().into_iter().all(is_deterministic)
}
