//! The engine of one worker: one memory pool and one spill directory for all of its slots.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use api::task::{PlanTable, StageGraph};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use datafusion::object_store::ObjectStore;
use tokio::runtime::Handle;

use crate::files::{KvSource, Remote, Sources, Stores};
use crate::plan::{self, Query, Shape};
use crate::run::{self, Failure, RunTask, Written};
use crate::stack::on_large_stack;
use crate::{DataDirs, Error};

/// Consumers named when the memory pool is empty.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// What an engine may use.
#[derive(Debug, Default)]
pub struct EngineSettings {
    /// Memory of all running tasks together, in bytes.
    pub memory_bytes: usize,
    /// Where sorts and aggregates that need more go; emptied at start.
    pub spill_dir: PathBuf,
    /// Largest size of that directory, in bytes.
    pub spill_limit_bytes: u64,
    /// Where input files may lie.
    pub data_dirs: DataDirs,
    /// Where the files of datasets are, by the names of their blobs.
    pub blobs: Option<Arc<dyn ObjectStore>>,
    /// What of the network tables may come from.
    pub remote: Remote,
    /// Where the keys of `kv:` tables come from.
    pub kv: Option<Arc<dyn KvSource>>,
}

/// What to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// One statement.
    pub sql: String,
    /// Tables it may name.
    pub tables: BTreeMap<String, PlanTable>,
    /// Partitions to aim at in each stage.
    pub target_partitions: u32,
    /// What `now()` is, Unix milliseconds: the same in every attempt.
    pub now_ms: u64,
    /// Whose keys `kv:` tables read; empty is the default namespace.
    pub namespace: String,
}

/// Plans queries and runs tasks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    runtime: Arc<RuntimeEnv>,
    sources: Sources,
    memory_bytes: usize,
}

impl Engine {
    /// An engine with a memory pool of its own.
    ///
    /// # Errors
    /// When the spill directory cannot be used.
    pub fn try_new(settings: EngineSettings) -> std::io::Result<Self> {
        match std::fs::remove_dir_all(&settings.spill_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&settings.spill_dir)?,
        }
        let pool = TrackConsumersPool::new(FairSpillPool::new(settings.memory_bytes), NAMED_CONSUMERS);
        let spill = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![settings.spill_dir]))
            .with_max_temp_directory_size(settings.spill_limit_bytes);
        let mut remote = settings.remote;
        remote.network = remote.network.or_else(|| Handle::try_current().ok());
        let sources = Sources {
            dirs: settings.data_dirs,
            remote: Arc::new(remote),
            kv: settings.kv,
        };
        let stores = Stores::new(sources.dirs.clone(), settings.blobs, Arc::clone(&sources.remote));
        run::follow_spawned_work();
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(pool))
            .with_disk_manager_builder(spill)
            .with_object_store_registry(Arc::new(stores))
            // Files may change between queries; a cached listing or statistic would then give a wrong answer.
            .with_object_list_cache_limit(0)
            .with_file_statistics_cache_limit(0)
            .with_metadata_cache_limit(0)
            .build_arc()
            .map_err(std::io::Error::other)?;
        Ok(Self {
            runtime,
            sources,
            memory_bytes: settings.memory_bytes,
        })
    }

    /// Turns SQL into stages. Dropping the future stops the planning at its next step.
    ///
    /// # Errors
    /// [`Error`] says whose fault it is, in words for the person who wrote the query.
    pub async fn plan_sql(&self, request: PlanRequest) -> Result<StageGraph, Error> {
        let shape = Shape::of(request.target_partitions);
        self.plan_shaped(request, shape).await
    }

    /// The same in a shape that is given and not chosen.
    pub(crate) async fn plan_shaped(&self, request: PlanRequest, shape: Shape) -> Result<StageGraph, Error> {
        let PlanRequest {
            sql,
            tables,
            now_ms,
            namespace,
            ..
        } = request;
        let query = Query {
            sql,
            tables,
            now_ms,
            namespace,
        };
        let (sources, runtime) = (self.sources.clone(), Arc::clone(&self.runtime));
        on_large_stack(async move { plan::plan(&query, &sources, &runtime, shape).await })
            .await
            .unwrap_or_else(|reason| Err(Error::Internal(reason)))
    }

    /// Runs a task. Dropping the future, or its token, cancels it and leaves no file.
    ///
    /// # Errors
    /// [`Failure`] says what must happen next.
    pub async fn run_task(&self, task: RunTask) -> Result<Written, Failure> {
        run::run(task, &self.sources, &self.runtime).await
    }

    /// Bytes the running tasks hold.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// Bytes there are for running tasks.
    #[must_use]
    pub const fn memory_limit(&self) -> usize {
        self.memory_bytes
    }
}
