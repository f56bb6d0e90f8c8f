//! Windows whose rows come sorted rely on it, and complain only when they run.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, InputOrderMode, WindowExpr};

/// An error for a plan with a window that would not find its rows in order: cut, a plan knows less about the order of rows than
/// it did whole (that two expressions are always equal, say).
pub(super) fn check(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    if let Some(window) = plan.downcast_ref::<WindowAggExec>() {
        in_order(window.window_expr(), window.input())?;
    }
    if let Some(window) = plan.downcast_ref::<BoundedWindowAggExec>()
        && window.input_order_mode == InputOrderMode::Sorted
    {
        in_order(window.window_expr(), window.input())?;
    }
    plan.children().into_iter().try_for_each(check)
}

fn in_order(functions: &[Arc<dyn WindowExpr>], input: &Arc<dyn ExecutionPlan>) -> Result<()> {
    for function in functions {
        let keys = function.partition_by();
        let (_, known) = input.equivalence_properties().find_longest_permutation(keys)?;
        if known.len() != keys.len() {
            return Err(DataFusionError::NotImplemented(
                "a window whose rows are in order for a reason that is lost between stages".to_owned(),
            ));
        }
    }
    Ok(())
}
