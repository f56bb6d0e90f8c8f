//! What is true of every row of a stage, and so still true of those that read them, in whatever order.
//!
//! Operators above a shuffle were planned with it: a sort by `a` is a sort by `b` for one that knows `a = b`.

use std::sync::Arc;

use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::physical_expr::equivalence::EquivalenceProperties;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{AcrossPartitions, ConstExpr, PhysicalExprRef};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Columns, by position, that are equal to each other or the same in all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Groups of columns that are equal.
    pub(super) equal: Vec<Vec<u32>>,
    /// Columns with one value.
    pub(super) constant: Vec<u32>,
}

impl Facts {
    /// What a plan knows about all of its partitions.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let known = plan.equivalence_properties();
        let position = |expression: &PhysicalExprRef| {
            let column = expression.downcast_ref::<Column>()?;
            u32::try_from(column.index()).ok()
        };
        let groups = known
            .eq_group()
            .iter()
            .map(|class| class.iter().filter_map(position).collect::<Vec<_>>());
        let constants = known.constants().into_iter();
        Self {
            equal: groups.filter(|group| group.len() > 1).collect(),
            constant: constants
                .filter(|constant| matches!(constant.across_partitions, AcrossPartitions::Uniform(_)))
                .filter_map(|constant| position(&constant.expr))
                .collect(),
        }
    }

    /// Tells them; an error when a column is not there.
    pub(super) fn tell(&self, known: &mut EquivalenceProperties) -> Result<()> {
        let schema = Arc::clone(known.schema());
        let column = |position: u32| -> Result<PhysicalExprRef> {
            let field = schema.fields().get(position as usize);
            let field = field.ok_or_else(|| internal_datafusion_err!("a fact about column {position}, which is not there"))?;
            Ok(Arc::new(Column::new(field.name(), position as usize)))
        };
        for group in &self.equal {
            for pair in group.windows(2) {
                if let [left, right] = pair {
                    known.add_equal_conditions(column(*left)?, column(*right)?)?;
                }
            }
        }
        for constant in &self.constant {
            let constant = ConstExpr::new(column(*constant)?, AcrossPartitions::Uniform(None));
            known.add_constants([constant])?;
        }
        Ok(())
    }
}
