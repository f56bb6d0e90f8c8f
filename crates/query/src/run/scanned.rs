//! The files a partition of a plan reads, so that an error in the data can name them.

use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

/// Files named in an error.
const NAMED: usize = 3;

/// `in /path/to/file` for the files that a task on this partition reads; empty when it reads none.
pub(super) fn describe(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> String {
    let mut files = Vec::new();
    collect(plan, partition, &mut files);
    files.dedup();
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    match (files.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(" (in {})", files.join(", ")),
        (false, more) => format!(" (in {} or {more} more files)", files.join(", ")),
    }
}

fn collect(plan: &Arc<dyn ExecutionPlan>, partition: usize, files: &mut Vec<String>) {
    let scan = plan.downcast_ref::<DataSourceExec>();
    if let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) {
        let group = config.file_groups.get(partition).into_iter().flat_map(|group| group.iter());
        files.extend(group.map(|file| format!("/{}", file.object_meta.location)));
    }
    for child in plan.children() {
        collect(child, partition, files);
    }
}
