//! Session options, each of which decides whether a distributed answer is right. Why, beside each.

use datafusion::config::ConfigOptions;
use datafusion::prelude::SessionConfig;

use crate::plan::Shape;

/// Tables smaller than this are read by one task: handing out a task costs about as much as reading this much.
pub(crate) const MIN_SPLIT_BYTES: usize = 256 * 1024;

/// Rows of a batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// How a query is planned whose stages run in different processes.
pub(crate) fn distributed(shape: Shape) -> SessionConfig {
    let mut config = common(shape.partitions.max(1));
    let options = config.options_mut();
    // What is smaller is read whole by every task; `plan::broadcast` takes back what would then be wrong.
    options.optimizer.hash_join_single_partition_threshold = shape.broadcast_bytes;
    options.optimizer.hash_join_single_partition_threshold_rows = shape.broadcast_rows;
    // Interleaving unions insist on hash-partitioned children, which shuffle readers do not claim to be.
    options.optimizer.prefer_existing_union = true;
    config
}

/// How a query is planned that runs whole, as one task.
pub(crate) fn whole() -> SessionConfig {
    common(1)
}

/// How a stage's plan is run.
pub(crate) fn task() -> SessionConfig {
    common(1)
}

fn common(target_partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(target_partitions)
        .with_batch_size(BATCH_ROWS)
        // Round robin spreads rows by arrival, which is neither useful across processes nor repeatable.
        .with_round_robin_repartition(false)
        .with_information_schema(false);
    let options = config.options_mut();
    // With it, a task that runs one partition alone would read the files of all partitions.
    options.execution.enable_file_stream_work_stealing = false;
    // Views share buffers; written to a shuffle file, each slice would drag its whole buffer along.
    options.execution.parquet.schema_force_view_types = false;
    options.optimizer.repartition_file_min_size = MIN_SPLIT_BYTES;
    no_dynamic_filters(options);
    config
}

/// A dynamic filter is filled by one operator and read by another, which may run in another process.
fn no_dynamic_filters(options: &mut ConfigOptions) {
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
}
