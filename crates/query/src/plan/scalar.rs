//! Scalar subqueries that do not depend on the row they are asked for.
//!
//! Each is a stage of one row at most. Whoever needs its value reads that row first, and fails when there are more: the engine's
//! own operator does so, and travels at the root of every stage that has such an expression.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::physical_planning_context::ScalarSubqueryResults;
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::scalar_subquery::{ScalarSubqueryExec, ScalarSubqueryLink};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

/// The subqueries whose values the expressions of one query (or subquery) use.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    links: Vec<ScalarSubqueryLink>,
    results: ScalarSubqueryResults,
}

impl Scope {
    /// `plans` read the rows of the subqueries of `exec`, in the same order.
    pub(super) fn new(exec: &ScalarSubqueryExec, plans: Vec<Arc<dyn ExecutionPlan>>) -> Self {
        let links = exec.subqueries().iter().zip(plans);
        Self {
            links: links
                .map(|(link, plan)| ScalarSubqueryLink { plan, index: link.index })
                .collect(),
            results: exec.results().clone(),
        }
    }

    /// The root of a stage, with the values that it uses.
    pub(super) fn around(&self, root: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if !self.is_used_in(&root)? {
            return Ok(root);
        }
        // What says how to write stays at the root.
        if let Some(repartition) = root.downcast_ref::<RepartitionExec>()
            && let Partitioning::Hash(by, _) = repartition.partitioning()
        {
            if by.iter().any(|expression| self.is_in(expression)) {
                return Err(DataFusionError::NotImplemented(
                    "rows hashed by the value of a subquery".to_owned(),
                ));
            }
            let input = self.wrap(Arc::clone(repartition.input()));
            return Ok(Arc::new(RepartitionExec::try_new(input, repartition.partitioning().clone())?));
        }
        Ok(self.wrap(root))
    }

    fn wrap(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(ScalarSubqueryExec::new(input, self.links.clone(), self.results.clone()))
    }

    fn is_used_in(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
        let mut used = false;
        plan.apply_expressions(&mut |expression| {
            used |= self.is_in(expression);
            Ok(TreeNodeRecursion::Continue)
        })?;
        for child in plan.children() {
            used = used || self.is_used_in(child)?;
        }
        Ok(used)
    }

    fn is_in(&self, expression: &Arc<dyn datafusion::physical_plan::PhysicalExpr>) -> bool {
        let found = expression.exists(|part| {
            let value = part.downcast_ref::<ScalarSubqueryExpr>();
            Ok(value.is_some_and(|value| *value.results() == self.results))
        });
        found.unwrap_or(true)
    }
}

/// Whether a plan runs as one task anyway.
pub(super) fn is_one_task(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.output_partitioning().partition_count() == 1 && plan.children().into_iter().all(is_one_task)
}
