//! Where snapshots are kept: written beside, synced, renamed, and the last two kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::advice::ADVICE;
use super::super::disk::Disk;
use super::super::types::{LogId, SnapshotMeta};
use super::file::{self, SnapshotFile, SnapshotHead};
use crate::error::Error;
use crate::state::{HistoryLimits, Image, State};

/// Snapshots that stay.
const KEPT: usize = 2;

const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = ".unfinished";
pub(super) const RECEIVED: &str = ".received";

/// A directory of snapshots.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    limits: HistoryLimits,
    newest: Arc<Mutex<Option<(SnapshotMeta, SnapshotFile)>>>,
    saving: Arc<Mutex<()>>,
}

impl SnapshotStore {
    /// Opens the directory, which exists, and clears what a crash left unfinished.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf, limits: HistoryLimits) -> Result<Self, Error> {
        let store = Self {
            disk,
            dir,
            limits,
            newest: Arc::default(),
            saving: Arc::default(),
        };
        let cleared = store.disk.names(&store.dir).and_then(|names| {
            let mut unfinished = names
                .iter()
                .filter(|name| name.ends_with(UNFINISHED) || name.ends_with(RECEIVED));
            unfinished.try_for_each(|name| store.disk.remove(&store.dir.join(name)))
        });
        cleared.map_err(|error| Error::Unavailable(format!("{} cannot be used: {error}", store.dir.display())))?;
        Ok(store)
    }

    /// How much history a state read from here remembers.
    pub(crate) const fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// The newest readable snapshot. An older one does only if the log still holds what comes after it.
    pub(crate) fn load(&self, purged: Option<LogId>) -> Result<Option<(SnapshotMeta, State)>, Error> {
        let mut damage = None;
        for path in self
            .newest_first()
            .map_err(|error| self.damaged(&self.dir, &error.to_string()))?
        {
            match self.read(&path) {
                Ok((meta, _)) if meta.last_log_id < purged => break,
                Ok((meta, state)) => {
                    if let Some(reason) = damage {
                        tracing::error!(%reason, used = %path.display(), "a raft snapshot is damaged; the one before it serves");
                    }
                    self.remember(meta.clone(), path);
                    return Ok(Some((meta, state)));
                }
                Err(reason) => {
                    damage.get_or_insert_with(|| self.damaged(&path, &reason).to_string());
                }
            }
        }
        match (damage, purged) {
            (Some(reason), _) => Err(Error::Damaged(reason)),
            (None, Some(_)) => Err(self.damaged(&self.dir, "the snapshot that the log continues is missing")),
            (None, None) => Ok(None),
        }
    }

    /// Writes a snapshot; it is durable, and the newest, when this returns.
    pub(crate) fn save(&self, meta: &SnapshotMeta, image: &Image) -> io::Result<SnapshotFile> {
        // Two at once would clear away each other's files.
        let _one = self.saving.lock();
        let path = self.path(meta);
        let unfinished = path.with_extension(&UNFINISHED[1..]);
        if let Err(error) = file::write(&*self.disk, &unfinished, SnapshotHead::new(meta), image) {
            // On a full disk, what is there of it is in the way of everything else.
            let _ = self.disk.remove(&unfinished);
            return Err(error);
        }
        self.put_in_place(&unfinished, meta, path)
    }

    /// Takes over a snapshot that came in from a peer, and was verified.
    pub(crate) fn adopt(&self, meta: &SnapshotMeta, received: &Path) -> io::Result<SnapshotFile> {
        let _one = self.saving.lock();
        self.put_in_place(received, meta, self.path(meta))
    }

    fn path(&self, meta: &SnapshotMeta) -> PathBuf {
        let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term));
        self.dir.join(format!("{index:020}-{term:020}{SUFFIX}"))
    }

    fn put_in_place(&self, whole: &Path, meta: &SnapshotMeta, path: PathBuf) -> io::Result<SnapshotFile> {
        self.disk.rename(whole, &path)?;
        self.disk.sync_dir(&self.dir)?;
        for old in self.newest_first()?.iter().skip(KEPT) {
            self.disk.remove(old)?;
        }
        self.remember(meta.clone(), path.clone());
        Ok(SnapshotFile { path })
    }

    /// The disk they are on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest snapshot.
    pub(crate) fn newest(&self) -> Option<(SnapshotMeta, SnapshotFile)> {
        self.newest.lock().clone()
    }

    /// Reads a snapshot, from here or from a peer.
    pub(crate) fn read(&self, path: &Path) -> Result<(SnapshotMeta, State), String> {
        let (head, state) = file::read(&*self.disk, path, self.limits)?;
        Ok((head.meta()?, state))
    }

    fn remember(&self, meta: SnapshotMeta, path: PathBuf) {
        let mut newest = self.newest.lock();
        if newest.as_ref().is_none_or(|(known, _)| known.last_log_id <= meta.last_log_id) {
            *newest = Some((meta, SnapshotFile { path }));
        }
    }

    fn newest_first(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = self.disk.names(&self.dir)?;
        names.retain(|name| name.ends_with(SUFFIX));
        names.sort_unstable_by(|left, right| right.cmp(left));
        Ok(names.into_iter().map(|name| self.dir.join(name)).collect())
    }

    fn damaged(&self, path: &Path, reason: &str) -> Error {
        Error::Damaged(format!("{}: {reason}. {ADVICE}", path.display()))
    }
}
