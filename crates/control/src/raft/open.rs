//! Starting the engine from what its directory holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use openraft::network::{NetSnapshot, RaftNetworkFactory};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::disk::{Disk, OsDisk};
use super::lock::DirLock;
use super::log::{LogOptions, LogStore};
use super::machine::Machine;
use super::metrics::RaftMetrics;
use super::network::SingleNode;
use super::options::RaftOptions;
use super::snapshot::{SnapshotFile, SnapshotStore};
use super::types::{Peer, TypeConfig};
use super::{Deadlines, PENDING_UNIT, RaftStore};
use crate::error::Error;
use crate::state::State;

impl RaftStore {
    /// Opens a directory, or begins a new store in it, and takes up leadership. Ready to use when this returns.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the directory cannot be written or is in use; [`Error::Damaged`] when what it holds
    /// cannot be trusted; [`Error::Invalid`] when the options do not fit.
    pub async fn open(options: RaftOptions) -> Result<Arc<Self>, Error> {
        if !options.peers.is_empty() {
            return Err(Error::Invalid(
                "the raft engine runs on one master only as yet; remove the peers".to_owned(),
            ));
        }
        Self::open_on(Arc::new(OsDisk), SingleNode, options).await
    }

    /// Opens on a disk and with a network of the caller's choice.
    pub(super) async fn open_on<N>(disk: Arc<dyn Disk>, network: N, options: RaftOptions) -> Result<Arc<Self>, Error>
    where
        N: RaftNetworkFactory<TypeConfig>,
        N::Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotFile>,
    {
        let config = Arc::new(options.config()?);
        let metrics = RaftMetrics::new(options.registry.as_ref())
            .map_err(|error| Error::Invalid(format!("the raft metrics cannot be registered: {error}")))?;
        let (files_options, files_metrics) = (options.clone(), metrics.clone());
        let files = tokio::task::spawn_blocking(move || Files::open(disk, &files_options, files_metrics));
        let Files { log, machine, lock } = files.await.map_err(|error| Error::Damaged(error.to_string()))??;
        let applied = machine.applied();
        let raft = openraft::Raft::new(options.node_id, config, network, log.clone(), machine)
            .await
            .map_err(|error| Error::Damaged(error.to_string()))?;
        let store = Arc::new(Self {
            raft,
            log,
            applied,
            deadlines: Mutex::new(Deadlines::default()),
            pending: Semaphore::new(options.max_pending_bytes / PENDING_UNIT),
            options,
            metrics,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            lock: Arc::new(lock),
        });
        store.start_background();
        match store.take_up().await {
            Ok(()) => {
                let revision = store.applied.look(State::revision);
                let (dir, node_id) = (store.options.dir.display(), store.options.node_id);
                tracing::info!(%dir, node_id, term = store.role().0, revision, "the raft engine is ready");
                Ok(store)
            }
            Err(error) => {
                // The reason to fail is told, not what stopping adds to it.
                let _ = store.shutdown().await;
                Err(error)
            }
        }
    }

    /// Begins a new cluster of this node and the peers, or stands for election at once: with nobody else to vote, there
    /// is nothing to wait for.
    async fn take_up(&self) -> Result<(), Error> {
        let node_id = self.options.node_id;
        let initialized = self.raft.is_initialized().await.map_err(|fatal| self.fatal(&fatal))?;
        if !initialized {
            let mut members: BTreeMap<u64, Peer> = self.options.peers.clone();
            members.insert(
                node_id,
                Peer {
                    address: self.options.address.clone(),
                },
            );
            self.raft
                .initialize(members)
                .await
                .map_err(|error| Error::Unavailable(error.to_string()))?;
        } else if self.options.peers.is_empty() {
            self.raft.trigger().elect(false).await.map_err(|fatal| self.fatal(&fatal))?;
        }
        if self.options.peers.is_empty() {
            let wait = self.raft.wait(Some(self.options.request_timeout));
            let led = wait.metrics(|metrics| metrics.current_leader == Some(node_id), "leads").await;
            led.map_err(|error| match self.log.failure() {
                Some(_) => self.reason(),
                None => Error::Unavailable(format!("this node did not become raft leader: {error}")),
            })?;
            self.linearize().await?;
        }
        Ok(())
    }
}

/// What is opened before the protocol starts.
struct Files {
    log: LogStore,
    machine: Machine,
    lock: DirLock,
}

impl Files {
    fn open(disk: Arc<dyn Disk>, options: &RaftOptions, metrics: RaftMetrics) -> Result<Self, Error> {
        let dir = &options.dir;
        make_dir(&*disk, dir)?;
        let lock = DirLock::acquire(dir)?;
        let (log_dir, snapshot_dir) = (dir.join("log"), dir.join("snapshots"));
        make_dir(&*disk, &log_dir)?;
        make_dir(&*disk, &snapshot_dir)?;
        disk.sync_dir(dir).map_err(|error| unwritable(dir, &error))?;

        let log = LogStore::open(
            Arc::clone(&disk),
            LogOptions {
                dir: log_dir.clone(),
                node_id: options.node_id,
                segment_bytes: options.segment_bytes,
                metrics: metrics.clone(),
            },
        )?;
        let snapshots = SnapshotStore::open(disk, snapshot_dir, options.history())?;
        let machine = Machine::open(snapshots, log.purged(), metrics)?;
        if machine.last().is_some() && log.is_new() {
            return Err(Error::Damaged(format!(
                "{} is empty though there is a snapshot. Restore {} from a backup, or remove it to begin anew, which loses what it holds",
                log_dir.display(),
                dir.display()
            )));
        }
        Ok(Self { log, machine, lock })
    }
}

fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.create_dir(dir).map_err(|error| unwritable(dir, &error))
}

fn unwritable(dir: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("the directory {} cannot be written: {error}", dir.display()))
}
