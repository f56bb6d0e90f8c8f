//! Scalar subqueries that might return more than one row.
//!
//! Distributed, an uncorrelated scalar subquery becomes a join, and a join with two rows silently doubles rows where SQL demands
//! an error. The engine's own operator checks this, but only within one process: so such a query runs as one task.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether an uncorrelated scalar subquery is not certain to return at most one row.
pub(super) fn may_return_many_rows(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                if let Expr::ScalarSubquery(subquery) = part {
                    let correlated = !subquery.outer_ref_columns.is_empty();
                    found |= !correlated && subquery.subquery.max_rows().is_none_or(|rows| rows > 1);
                }
                Ok(if found {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
    });
    found || visited.is_err()
}
