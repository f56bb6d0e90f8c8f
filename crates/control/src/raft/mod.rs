//! The built-in engine: the Raft protocol (openraft) over a log of our own, in the masters. Nothing outside this module
//! names openraft, and nothing on disk is made of its types.
//!
//! What stays true: a write is acknowledged only when it is durable and applied; a read sees every write acknowledged
//! before it began; what was acknowledged is there after a restart, or the engine refuses to start and says why.

mod advice;
mod background;
mod blocking;
mod calls;
mod contacts;
#[cfg(test)]
mod crash_disk;
mod deadlines;
mod disk;
mod format;
mod formation;
mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod identity;
mod initial;
mod lead;
mod local;
mod lock;
mod log;
mod machine;
mod members;
mod metrics;
mod network;
mod node;
mod open;
mod options;
mod reads;
mod runtime;
mod serve;
mod snapshot;
#[cfg(test)]
mod tests;
mod types;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::Fatal;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use initial::InitialMember;
pub use members::{Member, MemberRole, RaftStatus};
pub use network::BASE;
pub use node::RaftNode;
pub use options::RaftOptions;
pub use snapshot::{Inspected, RestoreRequest, Restored, SnapshotExport, inspect, restore};

use crate::error::Error;
use deadlines::Deadlines;
use local::Local;
use lock::DirLock;
use log::LogStore;
use machine::{Applied, Machine};
use metrics::RaftMetrics;
use reads::Reads;
use snapshot::SnapshotStore;
use types::TypeConfig;

/// Bytes that one permit for pending writes stands for.
const PENDING_UNIT: usize = 1024;

/// A master's part of the built-in control store.
#[derive(Debug)]
pub struct RaftStore {
    raft: openraft::Raft<TypeConfig, Machine>,
    log: LogStore,
    applied: Arc<Applied>,
    snapshots: SnapshotStore,
    reads: Reads,
    local: Arc<Local>,
    /// Members whose full disks stop all writes, when they do.
    no_space: RwLock<Option<String>>,
    /// Whether the others say that this node is no member any more.
    removed: AtomicBool,
    deadlines: Mutex<Deadlines>,
    /// Held by a change of the members, one at a time.
    changing: tokio::sync::Mutex<()>,
    /// Bounds the snapshots being sent to clients: each holds a thread.
    exports: Arc<Semaphore>,
    /// Bounds the writes under way, in units of [`PENDING_UNIT`].
    pending: Semaphore,
    options: RaftOptions,
    metrics: RaftMetrics,
    /// Cancelled when the engine stops, asked to or not.
    stopping: CancellationToken,
    tasks: TaskTracker,
    lock: Arc<DirLock>,
}

impl RaftStore {
    /// Stops: another leads if one can, no more writes here, what is written is durable, the directory is free for another
    /// process.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the log's disk has failed.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.hand_over().await;
        self.log.give_up_waiting();
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the raft core did not stop cleanly");
        }
        let closed = self.log.close().await;
        self.lock.release();
        if self.log.is_full() {
            // What waited for space was never acknowledged.
            return Ok(());
        }
        closed.map_err(|error| Error::Damaged(error.to_string()))
    }

    /// Returns when the engine has stopped, with the reason; somebody must act unless it was asked to.
    pub async fn stopped(&self) -> Error {
        self.stopping.cancelled().await;
        self.reason()
    }

    /// Whether this node is the raft leader, as far as it knows.
    #[must_use]
    pub fn is_raft_leader(&self) -> bool {
        self.role().1
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Why the engine does not answer.
    fn reason(&self) -> Error {
        if let Some(failure) = self.log.failure() {
            return Error::Damaged(format!("the raft log cannot be written: {failure}"));
        }
        match &self.raft.metrics().borrow_watched().running_state {
            Ok(()) | Err(Fatal::Stopped) => Error::Unavailable("the raft engine has stopped".to_owned()),
            Err(fatal) => Error::Damaged(fatal.to_string()),
        }
    }
}

impl Drop for RaftStore {
    /// A store that nobody has stopped is stopped in the background; the directory is in use until then.
    fn drop(&mut self) {
        self.stopping.cancel();
        self.log.give_up_waiting();
        let (raft, log, lock) = (self.raft.clone(), self.log.clone(), Arc::clone(&self.lock));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let stopped = raft.shutdown().await.map_err(|error| error.to_string());
                if let Err(error) = stopped.and(log.close().await.map_err(|error| error.to_string())) {
                    tracing::warn!(%error, "the raft engine did not stop cleanly");
                }
                lock.release();
            });
        }
    }
}
