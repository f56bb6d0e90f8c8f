//! Joins whose small side every task reads whole, where that is right.
//!
//! The engine collects a small side when its size is known to be below a threshold. Tasks share nothing, so a join that emits
//! rows of the side it collected (those without a partner) would emit them once in every task: such a join is hashed instead.
//! Null-aware anti joins cannot be hashed; they stay, and get their whole other side in one task when the plan is cut.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::SessionConfig;

use crate::bounded::bound;

/// The rule of the engine that chooses between collecting and hashing, which ours follows.
const JOIN_SELECTION: &str = "join_selection";

/// A session whose plans can be cut.
pub(super) fn session(config: SessionConfig, runtime: &Arc<RuntimeEnv>) -> SessionContext {
    let mut rules = PhysicalOptimizer::new().rules;
    let after = rules
        .iter()
        .position(|rule| rule.name() == JOIN_SELECTION)
        .map_or(0, |at| at + 1);
    rules.insert(after, Arc::new(BroadcastWhereRight));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    bound(SessionContext::new_with_state(state))
}

/// Whether a join of this type, having collected its left side, emits rows of it.
pub(super) const fn emits_collected_rows(join: JoinType) -> bool {
    matches!(
        join,
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    )
}

#[derive(Debug)]
struct BroadcastWhereRight;

impl PhysicalOptimizerRule for BroadcastWhereRight {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let corrected = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            let collected = *join.partition_mode() == PartitionMode::CollectLeft && !join.null_aware;
            // One file is split only later: that it is one partition now means nothing.
            let one_task = config.execution.target_partitions == 1;
            if !collected || one_task || !emits_collected_rows(*join.join_type()) {
                return Ok(Transformed::no(node));
            }
            // The other way round it may be right: what was the left side is not collected then.
            if !emits_collected_rows(join.join_type().swap()) && is_small(join.right().as_ref(), config) {
                return join.swap_inputs(PartitionMode::CollectLeft).map(Transformed::yes);
            }
            let hashed = join.builder().with_partition_mode(PartitionMode::Partitioned).build()?;
            Ok(Transformed::yes(Arc::new(hashed) as _))
        });
        corrected.data()
    }

    fn name(&self) -> &'static str {
        "broadcast_where_right"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_small(plan: &dyn ExecutionPlan, config: &ConfigOptions) -> bool {
    let Ok(statistics) = StatisticsContext::new().compute(plan, &StatisticsArgs::new()) else {
        return false;
    };
    let bytes = statistics.total_byte_size.get_value();
    bytes.is_some_and(|bytes| *bytes < config.optimizer.hash_join_single_partition_threshold)
}
