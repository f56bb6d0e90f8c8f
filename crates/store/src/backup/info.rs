//! What is known of a backup without its content.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use api::cache::{ReplicaItem, ReplicaState};
use api::operations::ASKED_BACKUP;
use api::{BootId, Epoch, NodeId};

use super::error::Error;

/// Longest id, in bytes.
const MAX_ID_BYTES: usize = 64;

/// Names a backup: 1–64 of `[A-Za-z0-9_-]`. The backups of all nodes that were made together may share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupId(String);

/// What a backup is told of itself when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMeta {
    /// Its name.
    pub id: BackupId,
    /// Whose entries they are.
    pub node: NodeId,
    /// In which life.
    pub boot_id: BootId,
    /// The ring that was served then.
    pub epoch: Epoch,
    /// When it was begun, in Unix milliseconds.
    pub made_at_ms: u64,
}

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// Its name.
    pub id: BackupId,
    /// Whose entries they are.
    pub node: NodeId,
    /// In which life.
    pub boot_id: BootId,
    /// The ring that was served then.
    pub epoch: Epoch,
    /// When it was begun, in Unix milliseconds.
    pub made_at_ms: u64,
    /// Values in it.
    pub entries: u64,
    /// Deletes in it.
    pub tombstones: u64,
    /// Length of the file.
    pub bytes: u64,
    /// The file.
    pub path: PathBuf,
}

/// A file of the directory.
#[derive(Debug)]
pub struct Found {
    /// Its id, as the name of the file has it.
    pub id: BackupId,
    /// The file.
    pub path: PathBuf,
    /// What it is, or why it is of no use.
    pub info: Result<BackupInfo, Error>,
}

/// How many of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) tombstones: u64,
}

impl BackupId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// [`Error::InvalidId`].
    pub fn try_new(id: impl Into<String>) -> Result<Self, Error> {
        let id = id.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed) {
            Ok(Self(id))
        } else {
            Err(Error::InvalidId(id))
        }
    }

    /// A new id (UUID v7), later than every one this process made before.
    #[must_use]
    pub fn new_now() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }

    /// Whether somebody asked for it; others are periodic.
    #[must_use]
    pub fn was_asked_for(&self) -> bool {
        self.0.starts_with(ASKED_BACKUP)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BackupInfo {
    pub(super) fn new(meta: BackupMeta, counts: Counts, bytes: u64, path: PathBuf) -> Self {
        Self {
            id: meta.id,
            node: meta.node,
            boot_id: meta.boot_id,
            epoch: meta.epoch,
            made_at_ms: meta.made_at_ms,
            entries: counts.entries,
            tombstones: counts.tombstones,
            bytes,
            path,
        }
    }
}

impl Counts {
    /// Takes note of an item.
    pub(super) fn add(&mut self, item: &ReplicaItem<'_>) {
        match item.state {
            ReplicaState::Live { .. } => self.entries += 1,
            ReplicaState::Deleted { .. } => self.tombstones += 1,
            ReplicaState::Evicted => {}
        }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self, Error> {
        Self::try_new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_leave_the_directory_are_refused() {
        for id in ["", ".", "..", "a/b", "../x", "a.backup", "a b", "é", "a\0", &"x".repeat(65)] {
            assert!(BackupId::try_new(id).is_err(), "{id:?}");
        }
        for id in ["a", "01JD3Z2V7WQ8", BackupId::new_now().as_str(), &"x".repeat(64)] {
            assert!(BackupId::try_new(id).is_ok(), "{id:?}");
        }
    }
}
