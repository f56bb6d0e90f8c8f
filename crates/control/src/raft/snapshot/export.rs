//! The store in a file, to be kept elsewhere, and back again as another cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use openraft::storage::RaftLogStorage as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::super::RaftStore;
use super::super::disk::{Disk, DiskFile, OsDisk};
use super::super::identity::{Identity, Place};
use super::super::initial::{InitialMember, initial_id};
use super::super::log::{LogOptions, LogStore};
use super::super::metrics::RaftMetrics;
use super::super::open::make_dir;
use super::super::options::RaftOptions;
use super::super::types::{LogId, Membership, Peer, SnapshotMeta, StoredMembership, Vote};
use super::file::{self, SnapshotHead};
use super::store::SnapshotStore;
use crate::Result;
use crate::error::Error;
use crate::state::{Command, State};
use crate::types::{Op, Txn};

/// Where the identity of the cluster stands that nodes fence with; a restored store gets another.
const CLUSTER_IDENTITY: &str = "meta/cluster";

/// Parts ahead of whoever takes them.
const AHEAD: usize = 2;
/// A client that takes nothing for so long gets no more: it must not hold up others.
const STALLED: Duration = Duration::from_secs(30);

/// The whole store as of one revision, in checksummed frames: a cut or a flipped bit is noticed at the restore.
pub struct SnapshotExport {
    /// Revision of the store.
    pub revision: u64,
    /// The file, as it is made; memory is a few parts of it.
    pub body: BoxStream<'static, io::Result<Bytes>>,
}

/// What a saved snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Revision of the store.
    pub revision: u64,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// A store to be made of a saved snapshot, while no master runs on the directory.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The saved snapshot.
    pub file: PathBuf,
    /// Directory of the master that is to have it (`RAFT_DIR`): missing or empty.
    pub dir: PathBuf,
    /// The master's name (`NODE_ID`).
    pub name: String,
    /// `host:port` of its private listener.
    pub address: String,
    /// The members of the new cluster, this one among them; empty for this one alone. The others start with empty
    /// directories and get everything from it.
    pub initial_cluster: Vec<InitialMember>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Revision of the store.
    pub revision: u64,
    /// Keys in it.
    pub keys: u64,
    /// The new cluster.
    pub cluster_id: String,
    /// Its members.
    pub members: Vec<String>,
}

impl RaftStore {
    /// The store as it is now, or later, for a file.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a leader, or when others are being sent.
    pub async fn snapshot(&self) -> Result<SnapshotExport> {
        let sending = Arc::clone(&self.exports).try_acquire_owned();
        let sending = sending.map_err(|_| Error::Unavailable("other snapshots are being sent; try again later".to_owned()))?;
        self.linearize().await?;
        let (revision, image) = self.applied.look(|state| (state.revision(), state.image()));
        let (sender, parts) = mpsc::channel(AHEAD);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let output = Box::new(Parts {
                sender: sender.clone(),
                runtime,
            });
            if let Err(error) = file::write_to(output, SnapshotHead::new(&SnapshotMeta::default()), &image) {
                // Says why the file ends, to a client that is there; without it the file is refused as cut off all the same.
                let _ = sender.try_send(Err(error));
            }
            drop(sending);
        });
        let body = tokio_stream::wrappers::ReceiverStream::new(parts).boxed();
        Ok(SnapshotExport { revision, body })
    }
}

/// Hands on what is written.
struct Parts {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl DiskFile for Parts {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let part = Ok(Bytes::copy_from_slice(bytes));
        let sent = self.sender.send_timeout(part, STALLED);
        self.runtime.block_on(sent).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a saved snapshot whole.
///
/// # Errors
/// [`Error::Damaged`], with the place.
pub fn inspect(file: &Path) -> Result<Inspected> {
    let state = read(file)?;
    Ok(Inspected {
        revision: state.revision(),
        keys: state.keys(),
        bytes: state.bytes(),
    })
}

/// Makes a directory for a master of a new cluster, with what a saved snapshot holds.
///
/// # Errors
/// [`Error::Damaged`] when the file is not whole, before anything is written; [`Error::Conflict`] when the directory is not
/// empty; [`Error::Invalid`] when the members make no sense.
pub async fn restore(request: &RestoreRequest) -> Result<Restored> {
    let own = InitialMember {
        name: request.name.clone(),
        address: request.address.clone(),
    };
    let mut members = InitialMember::check(request.initial_cluster.clone())?;
    if members.is_empty() {
        members.push(own);
    }
    if !members.iter().any(|member| member.name == request.name) {
        let text = format!("the new cluster does not name {}", request.name);
        return Err(Error::Invalid(text));
    }
    let request = request.clone();
    let runtime = Handle::current();
    let restoring = tokio::task::spawn_blocking(move || write(&request, &members, &runtime));
    restoring.await.map_err(|error| Error::Damaged(error.to_string()))?
}

fn read(path: &Path) -> Result<State> {
    let limits = RaftOptions::new("", "").history();
    let read = file::read(&OsDisk, path, limits);
    let (_, state) = read.map_err(|reason| Error::Damaged(format!("{}: {reason}", path.display())))?;
    Ok(state)
}

fn write(request: &RestoreRequest, members: &[InitialMember], runtime: &Handle) -> Result<Restored> {
    let mut state = read(&request.file)?;
    let dir = &request.dir;
    let there = std::fs::read_dir(dir).map_or(0, Iterator::count);
    if there > 0 {
        return Err(Error::Conflict(format!(
            "{} is not empty: nothing is restored over it",
            dir.display()
        )));
    }
    forget_cluster(&mut state)?;
    let place = Place {
        cluster: Uuid::new_v4(),
        node_id: initial_id(&request.name),
        initial: Vec::new(),
    };
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let unwritable = |error: io::Error| Error::Unavailable(format!("{} cannot be written: {error}", dir.display()));
    let (log_dir, snapshot_dir) = (dir.join("log"), dir.join("snapshots"));
    for dir in [dir, &log_dir, &snapshot_dir] {
        make_dir(&*disk, dir)?;
    }
    // A log that continues from the snapshot, with a term of its own.
    let at = LogId::new(1.into(), 1);
    let snapshots = SnapshotStore::open(Arc::clone(&disk), snapshot_dir, RaftOptions::new("", "").history())?;
    let store = Uuid::new_v4();
    let meta = meta(at, members, (place.node_id, store))?;
    snapshots.save(&meta, &state.image()).map_err(unwritable)?;
    let options = LogOptions {
        dir: log_dir,
        node_id: place.node_id,
        segment_bytes: u64::MAX,
        metrics: RaftMetrics::new(None).map_err(|error| Error::Invalid(error.to_string()))?,
    };
    let mut log = LogStore::open(Arc::clone(&disk), options)?;
    let written = runtime.block_on(async {
        log.save_vote(&Vote::new(1, place.node_id)).await?;
        log.purge(at).await?;
        log.close().await
    });
    written.map_err(unwritable)?;
    // Last: without it the directory is refused.
    Identity::restore(&*disk, dir, &request.name, store, place.clone()).map_err(unwritable)?;
    Ok(Restored {
        revision: state.revision(),
        keys: state.keys(),
        cluster_id: place.cluster.to_string(),
        members: members.iter().map(|member| member.name.clone()).collect(),
    })
}

fn forget_cluster(state: &mut State) -> Result<()> {
    let delete = Op::Delete {
        key: CLUSTER_IDENTITY.to_owned(),
    };
    let txn = Txn {
        then: vec![delete],
        ..Txn::default()
    };
    let user_quota = u64::MAX;
    state.apply(&Command::Txn { txn, user_quota }).map(|_| ())
}

/// This node votes alone, until the others have what it has: nobody knows their data directories yet.
fn meta(at: LogId, members: &[InitialMember], (own, store): (u64, Uuid)) -> Result<SnapshotMeta> {
    let nodes = members.iter().map(|member| {
        let peer = Peer {
            name: member.name.clone(),
            address: member.address.clone(),
            store: (member.id() == own).then_some(store),
        };
        (member.id(), peer)
    });
    let voters = BTreeSet::from([own]);
    let membership = Membership::new(vec![voters], nodes.collect::<BTreeMap<_, _>>());
    let membership = membership.map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(SnapshotMeta {
        last_log_id: Some(at),
        last_membership: StoredMembership::new(Some(at), membership),
    })
}
