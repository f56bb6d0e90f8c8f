//! What can go wrong with backups, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::info::BackupId;

/// Failure of an operation on backups.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The id breaks the rules.
    #[error("{0:?} is not the id of a backup; use 1 to 64 letters, digits, '-' and '_'")]
    InvalidId(String),
    /// No backup has this id.
    #[error("there is no backup {id} in {}; the list of backups shows what there is", directory.display())]
    NotFound {
        /// What was asked for.
        id: BackupId,
        /// Where.
        directory: PathBuf,
    },
    /// A backup of this id was made, or is being made.
    #[error("there is a backup {0} already; give each one an id of its own")]
    Exists(BackupId),
    /// The file is not what was written, or not all of it.
    #[error("the backup {} is damaged: {reason}; use an older one or another node's, and check the disk", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// There are backups, but none can be read.
    #[error("none of the {count} backups in {} can be read; what is wrong with each was logged", directory.display())]
    NoneWhole {
        /// Where.
        directory: PathBuf,
        /// How many were tried.
        count: usize,
    },
    /// The item exceeds what a block may hold.
    #[error("the entry {key:?} has {bytes} bytes; a backup takes at most {}", super::format::MAX_ITEM)]
    TooLarge {
        /// Its key.
        key: String,
        /// Its size.
        bytes: usize,
    },
    /// An earlier call failed; nothing is left of this backup.
    #[error("backup {0} failed before and was removed; begin another one")]
    Abandoned(BackupId),
    /// Another process uses the directory.
    #[error("{} is in use by another process; give each node a BACKUP_DIR of its own", .0.display())]
    InUse(PathBuf),
    /// The disk failed or is full.
    #[error("cannot {action} {}: {}", path.display(), advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on I/O.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn advice(source: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            "there is no room; make some, or keep fewer backups. Older backups are as they were"
        }
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => "let the node's user write there, or set another BACKUP_DIR",
        Kind::NotFound => {
            "BACKUP_DIR is gone, or could not be made: make it, writable by the node's user; nobody else may remove what is in it"
        }
        Kind::NotADirectory | Kind::AlreadyExists => "BACKUP_DIR must be a directory, and nobody else may remove what is in it",
        _ => "check the disk and the system's log. Older backups are as they were",
    }
}
