//! The state machine as openraft drives it, and the view of it that reads and watches share.

use std::fmt::{self, Debug};
use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt as _};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::TypeConfigExt as _;
use openraft::type_config::alias::{WatchReceiverOf, WatchSenderOf};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, WatchSender as _};
use parking_lot::RwLock;

use super::blocking::blocking;
use super::disk::is_full;
use super::metrics::RaftMetrics;
use super::snapshot::{SnapshotFile, SnapshotStore};
use super::types::{Entry, LogId, Reply, SnapshotMeta, StoredMembership, TypeConfig};
use crate::error::Error;
use crate::state::{Image, Outcome, State};

/// Pause before a snapshot is tried again on a full disk.
const FULL_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotFile>;

/// The applied state. Readers hold its lock for one look, never across an await.
pub(crate) struct Applied {
    state: RwLock<State>,
    /// Index of the last applied entry + 1; tells those who wait.
    progress: WatchSenderOf<TypeConfig, u64>,
}

impl Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applied").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Applied {
    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// How many entries are applied, as it grows.
    pub(crate) fn progress(&self) -> WatchReceiverOf<TypeConfig, u64> {
        self.progress.subscribe()
    }
}

/// What openraft applies entries to.
#[derive(Debug)]
pub(crate) struct Machine {
    applied: Arc<Applied>,
    snapshots: SnapshotStore,
    metrics: RaftMetrics,
    last: Option<LogId>,
    membership: StoredMembership,
}

/// Writes a snapshot of the state at the moment it was made.
#[derive(Debug)]
pub(crate) struct Builder {
    snapshots: SnapshotStore,
    meta: SnapshotMeta,
    image: Option<Image>,
}

impl Machine {
    /// The state of the newest snapshot, or an empty one; the log is applied on top.
    pub(crate) fn open(snapshots: SnapshotStore, purged: Option<LogId>, metrics: RaftMetrics) -> Result<Self, Error> {
        let (last, membership, state) = match snapshots.load(purged)? {
            Some((meta, state)) => (meta.last_log_id, meta.last_membership, state),
            None => (None, StoredMembership::default(), State::new(snapshots.limits())),
        };
        let (progress, _) = TypeConfig::watch_channel(applied_count(last));
        let applied = Arc::new(Applied {
            state: RwLock::new(state),
            progress,
        });
        let machine = Self {
            applied,
            snapshots,
            metrics,
            last,
            membership,
        };
        machine.publish();
        Ok(machine)
    }

    /// The view that reads and watches share.
    pub(crate) fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.applied)
    }

    /// Position of the last applied entry.
    pub(crate) const fn last(&self) -> Option<LogId> {
        self.last
    }

    fn apply_one(&mut self, entry: &Entry) -> Reply {
        self.last = Some(entry.log_id);
        match &entry.payload {
            EntryPayload::Blank => Ok(Outcome::None),
            EntryPayload::Normal(command) => self.applied.state.write().apply(command),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                Ok(Outcome::None)
            }
        }
    }

    fn publish(&self) {
        let count = applied_count(self.last);
        let (revision, bytes) = self.applied.look(|state| (state.revision(), state.bytes()));
        self.metrics.applied(count.saturating_sub(1), revision, bytes);
        self.applied.progress.send_if_modified(|held| {
            *held = count;
            true
        });
    }

    fn builder(&self) -> Builder {
        let meta = SnapshotMeta {
            last_log_id: self.last,
            last_membership: self.membership.clone(),
        };
        Builder {
            snapshots: self.snapshots.clone(),
            meta,
            image: Some(self.applied.look(State::image)),
        }
    }
}

fn applied_count(last: Option<LogId>) -> u64 {
    last.map_or(0, |id| id.index + 1)
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut replies = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let reply = self.apply_one(&entry);
            replies.extend(responder.map(|responder| (responder, reply)));
        }
        // Whoever hears of a write must find it: the view is published before the answers go out.
        self.publish();
        for (responder, reply) in replies {
            responder.send(reply);
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.builder())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.builder()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFile) -> io::Result<()> {
        let snapshots = self.snapshots.clone();
        let wanted = meta.clone();
        let disk = Arc::clone(snapshots.disk());
        let state = blocking(&*disk, move || {
            let (_, state) = snapshots.read(&snapshot.path).map_err(io::Error::other)?;
            if snapshot.is_received() {
                snapshots.adopt(&wanted, &snapshot.path)?;
            } else {
                snapshots.save(&wanted, &state.image())?;
            }
            Ok::<_, io::Error>(state)
        })
        .await??;
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        // The old one may be large: it is dropped when readers can go on.
        let old = std::mem::replace(&mut *self.applied.state.write(), state);
        drop(old);
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.snapshots.newest().map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let image = self
            .image
            .take()
            .ok_or_else(|| io::Error::other("the snapshot was built already"))?;
        let (snapshots, meta) = (self.snapshots.clone(), self.meta.clone());
        let snapshot = save_patiently(snapshots, meta, Arc::new(image)).await?;
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot,
        })
    }
}

/// Writes a snapshot, when there is space for it: a full disk must stop neither the engine nor its reads.
async fn save_patiently(snapshots: SnapshotStore, meta: SnapshotMeta, image: Arc<Image>) -> io::Result<SnapshotFile> {
    loop {
        let (snapshots, meta, image) = (snapshots.clone(), meta.clone(), Arc::clone(&image));
        let disk = Arc::clone(snapshots.disk());
        match blocking(&*disk, move || snapshots.save(&meta, &image)).await.flatten() {
            Err(error) if is_full(&error) => {
                tracing::error!(%error, "a raft snapshot has to wait for space on the disk");
                tokio::time::sleep(FULL_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
