//! Starting the engine from what its directory holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use openraft::async_runtime::WatchReceiver as _;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::advice::ADVICE;
use super::blocking::blocking;
use super::disk::{Disk, OsDisk};
use super::identity::Place;
use super::log::{LogOptions, LogStore};
use super::machine::Machine;
use super::metrics::RaftMetrics;
use super::network::{Links, Network, NoNetwork};
use super::node::RaftNode;
use super::options::RaftOptions;
use super::reads::Reads;
use super::snapshot::SnapshotStore;
use super::types::Peer;
use super::{Deadlines, PENDING_UNIT, RaftStore};
use crate::error::Error;
use crate::state::State;

/// Snapshots sent to clients at once.
const EXPORTS: usize = 2;

impl RaftStore {
    /// Opens a directory, or begins a new store in it, as a cluster of one, and takes up leadership. Ready to use when this
    /// returns. A master of several is a [`RaftNode`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the directory cannot be written or is in use; [`Error::Damaged`] when what it holds
    /// cannot be trusted; [`Error::Invalid`] when the options do not fit.
    pub async fn open(options: RaftOptions) -> Result<Arc<Self>, Error> {
        let alone = options.initial_cluster.iter().all(|member| member.name == options.name) && options.join.is_empty();
        if !alone {
            return Err(Error::Invalid("a cluster of several masters needs a network".to_owned()));
        }
        Self::open_on(Arc::new(OsDisk), Arc::new(NoNetwork), options).await
    }

    /// Opens on a disk and with a network of the caller's choice.
    pub(crate) async fn open_on(
        disk: Arc<dyn Disk>,
        network: Arc<dyn Network>,
        options: RaftOptions,
    ) -> Result<Arc<Self>, Error> {
        RaftNode::prepare_on(disk, network, options).await?.start().await
    }

    /// Begins the cluster, if that is for this node to do, and makes it lead if there is nobody else to wait for.
    async fn take_up(&self, place: &Place) -> Result<(), Error> {
        let initialized = self.raft.is_initialized().await.map_err(|fatal| self.fatal(&fatal))?;
        if !initialized && !place.initial.is_empty() {
            let members: BTreeMap<u64, Peer> = place
                .initial
                .iter()
                .map(|member| (member.id(), self.local.first_peer(member)))
                .collect();
            self.raft
                .initialize(members)
                .await
                .map_err(|error| Error::Unavailable(error.to_string()))?;
        }
        let voters: Vec<u64> = self.raft.metrics().borrow_watched().membership_config.voter_ids().collect();
        if voters != [place.node_id] {
            self.settle_in().await;
            return Ok(());
        }
        if initialized {
            // With nobody else to vote, there is nothing to wait for.
            self.raft.trigger().elect(false).await.map_err(|fatal| self.fatal(&fatal))?;
        }
        let wait = self.raft.wait(Some(self.options.request_timeout));
        let led = wait
            .metrics(|metrics| metrics.current_leader == Some(place.node_id), "leads")
            .await;
        led.map_err(|error| match self.log.failure() {
            Some(_) => self.reason(),
            None => Error::Unavailable(format!("this node did not become raft leader: {error}")),
        })?;
        self.linearize().await
    }

    /// Gives the others a moment, so that a start usually ends with a store that answers.
    async fn settle_in(&self) {
        if let Err(error) = self.linearize().await {
            tracing::warn!(%error, "the control store does not answer yet");
        }
    }
}

/// Starts the engine of a node that has a place.
pub(super) async fn run(node: RaftNode, place: Place) -> Result<Arc<RaftStore>, Error> {
    let RaftNode {
        options,
        disk,
        lock,
        local,
    } = node;
    let config = Arc::new(options.config()?);
    let metrics = RaftMetrics::new(options.registry.as_ref())
        .map_err(|error| Error::Invalid(format!("the raft metrics cannot be registered: {error}")))?;
    let (files_disk, files_options, files_metrics) = (Arc::clone(&disk), options.clone(), metrics.clone());
    let node_id = place.node_id;
    let files = blocking(&*disk, move || {
        Files::open(files_disk, &files_options, node_id, files_metrics)
    });
    let Files { log, machine, snapshots } = files.await.map_err(|error| Error::Damaged(error.to_string()))??;
    if local.identity.begun() && log.was_missing() {
        return Err(Error::Damaged(format!(
            "the log in {} is missing. {ADVICE}",
            options.dir.display()
        )));
    }
    local.identity.begin().await?;
    let applied = machine.applied();
    let links = Links {
        client: Arc::clone(&local.client),
        disk,
        metrics: metrics.clone(),
        append_deadline: 2 * options.lease(),
    };
    let raft = openraft::Raft::new(node_id, config, links, log.clone(), machine)
        .await
        .map_err(|error| Error::Damaged(error.to_string()))?;
    let (reads, readers) = Reads::new();
    let store = Arc::new(RaftStore {
        raft,
        log,
        applied,
        snapshots,
        reads,
        local,
        no_space: RwLock::default(),
        removed: AtomicBool::new(false),
        deadlines: Mutex::new(Deadlines::default()),
        changing: tokio::sync::Mutex::default(),
        exports: Arc::new(Semaphore::new(EXPORTS)),
        pending: Semaphore::new(options.max_pending_bytes / PENDING_UNIT),
        options,
        metrics,
        stopping: CancellationToken::new(),
        tasks: TaskTracker::new(),
        lock: Arc::new(lock),
    });
    store.learn_addresses();
    store.local.endpoint.serve(&store);
    store.start_background(readers);
    match store.take_up(&place).await {
        Ok(()) => {
            let revision = store.applied.look(State::revision);
            let (dir, term) = (store.options.dir.display(), store.role().0);
            tracing::info!(%dir, name = store.options.name, term, revision, "the raft engine is ready");
            Ok(store)
        }
        Err(error) => {
            // The reason to fail is told, not what stopping adds to it.
            let _ = store.shutdown().await;
            Err(error)
        }
    }
}

impl RaftStore {
    /// Addresses in the settings win over those in the log, which may be of before a move.
    fn learn_addresses(&self) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        for (id, _) in metrics.membership_config.nodes() {
            // Not by its name: who was removed and added again is another member, at the address it was added with.
            let given = self.options.initial_cluster.iter().find(|member| member.id() == *id);
            if let Some(given) = given.filter(|_| *id != metrics.id) {
                self.local.contacts.learn(*id, &given.address);
            }
        }
    }
}

/// What is opened before the protocol starts.
struct Files {
    log: LogStore,
    machine: Machine,
    snapshots: SnapshotStore,
}

impl Files {
    fn open(disk: Arc<dyn Disk>, options: &RaftOptions, node_id: u64, metrics: RaftMetrics) -> Result<Self, Error> {
        let dir = &options.dir;
        let (log_dir, snapshot_dir) = (dir.join("log"), dir.join("snapshots"));
        make_dir(&*disk, &log_dir)?;
        make_dir(&*disk, &snapshot_dir)?;
        // Names, too, may be of a process that was killed before it had synced them.
        for dir in [dir, &log_dir, &snapshot_dir] {
            disk.sync_dir(dir).map_err(|error| unwritable(dir, &error))?;
        }

        let log = LogStore::open(
            Arc::clone(&disk),
            LogOptions {
                dir: log_dir.clone(),
                node_id,
                segment_bytes: options.segment_bytes,
                metrics: metrics.clone(),
            },
        )?;
        let snapshots = SnapshotStore::open(disk, snapshot_dir, options.history())?;
        let machine = Machine::open(snapshots.clone(), log.purged(), metrics)?;
        if machine.last().is_some() && log.is_new() {
            return Err(Error::Damaged(format!(
                "{} is empty though there is a snapshot. {ADVICE}",
                log_dir.display()
            )));
        }
        Ok(Self { log, machine, snapshots })
    }
}

pub(super) fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.create_dir(dir).map_err(|error| unwritable(dir, &error))
}

pub(super) fn unwritable(dir: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("the directory {} cannot be written: {error}", dir.display()))
}
