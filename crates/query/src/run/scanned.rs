//! The files a partition of a plan reads: whether they still are what was planned, and their names, so that an error in the
//! data can name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::ErrorCode;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::path::Path;
use datafusion::object_store::{ObjectMeta, ObjectStoreExt};
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};

use super::Failure;
use crate::files;

/// Files named in an error.
const NAMED: usize = 3;
/// Files looked at side by side.
const LOOKS: usize = 8;

/// ` (in /path/to/file)` for the files that a task on this partition reads; empty when it reads none.
pub(super) fn describe(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> String {
    let mut names: Vec<_> = files_of(plan, partition)
        .into_keys()
        .map(|(store, location)| name(&store, &location))
        .collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(" (in {})", names.join(", ")),
        (false, more) => format!(" (in {} or {more} more files)", names.join(", ")),
    }
}

/// Makes sure that the files are there, and as large as they were when the query was planned: a file cut into ranges by its old
/// size would be read wrongly. Two workers need not have the same times on their copies of a file, so these are compared only
/// where all workers read the very same object.
pub(super) async fn unchanged(plan: &Arc<dyn ExecutionPlan>, partition: usize, ctx: &TaskContext) -> Result<(), Failure> {
    let looks = files_of(plan, partition).into_iter().map(|((url, location), planned)| async move {
        let store = ctx.runtime_env().object_store(&url)?;
        let found = store.head(&location).await.map_err(|error| gone(&name(&url, &location), &error))?;
        let elsewhere = url.as_str().starts_with("file:");
        let times = !elsewhere && planned.last_modified.timestamp_micros() > 0 && found.last_modified.timestamp_micros() > 0;
        let touched = times && planned.last_modified.timestamp() != found.last_modified.timestamp();
        if found.size != planned.size || touched {
            return Err(Failure::User {
                code: ErrorCode::Conflict,
                detail: format!(
                    "{} changed after the query was planned ({} bytes then, {} bytes now): run the query again when it is complete",
                    name(&url, &location),
                    planned.size,
                    found.size
                ),
            });
        }
        Ok(())
    });
    stream::iter(looks).buffer_unordered(LOOKS).try_collect::<()>().await
}

fn gone(name: &str, error: &datafusion::object_store::Error) -> Failure {
    let code = match error {
        datafusion::object_store::Error::NotFound { .. } => ErrorCode::NotFound,
        datafusion::object_store::Error::PermissionDenied { .. } | datafusion::object_store::Error::Unauthenticated { .. } => {
            ErrorCode::Forbidden
        }
        _ => return Failure::Retryable(format!("{name} cannot be read: {error}")),
    };
    Failure::User {
        code,
        detail: format!("an input file cannot be read: {name} was there when the query was planned and is not now: {error}"),
    }
}

/// As a person would write it.
fn name(url: &ObjectStoreUrl, location: &Path) -> String {
    match files::plain(url) {
        "file:///" => format!("/{location}"),
        url => format!("{}/{location}", url.trim_end_matches('/')),
    }
}

fn files_of(plan: &Arc<dyn ExecutionPlan>, partition: usize) -> BTreeMap<(ObjectStoreUrl, Path), ObjectMeta> {
    let mut files = BTreeMap::new();
    collect(plan, partition, &mut files);
    files
}

fn collect(plan: &Arc<dyn ExecutionPlan>, partition: usize, files: &mut BTreeMap<(ObjectStoreUrl, Path), ObjectMeta>) {
    let scan = plan.downcast_ref::<DataSourceExec>();
    if let Some(config) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) {
        let group = config.file_groups.get(partition).into_iter().flat_map(|group| group.iter());
        files.extend(group.map(|file| {
            let key = (config.object_store_url.clone(), file.object_meta.location.clone());
            (key, file.object_meta.clone())
        }));
    }
    for child in plan.children() {
        collect(child, partition, files);
    }
}
