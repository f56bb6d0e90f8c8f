//! Where the tasks of a stage are best run: near the blobs they read.

use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

/// The scheme of the store that has the blobs, behind the compression that a scan's URL may begin with.
const BLOBS: &str = "blob://";

/// For each of a stage's partitions the blobs it reads; empty when it reads none.
pub(super) fn blobs(plan: &Arc<dyn ExecutionPlan>, partitions: usize) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new(); partitions];
    collect(plan, &mut found);
    for blobs in &mut found {
        blobs.sort_unstable();
        blobs.dedup();
    }
    if found.iter().all(Vec::is_empty) { Vec::new() } else { found }
}

fn collect(plan: &Arc<dyn ExecutionPlan>, found: &mut [Vec<String>]) {
    let scan = plan.downcast_ref::<DataSourceExec>();
    let scan = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    // What every task reads whole is near to none of them more than to another.
    if let Some(config) = scan.filter(|config| config.file_groups.len() == found.len())
        && config.object_store_url.as_str().contains(BLOBS)
    {
        for (blobs, group) in found.iter_mut().zip(&config.file_groups) {
            blobs.extend(group.iter().map(|file| file.object_meta.location.to_string()));
        }
    }
    for child in plan.children() {
        collect(child, found);
    }
}
