//! The directory of backups.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::cache::ReplicaItem;

use super::error::Error;
use super::info::{BackupId, BackupInfo, BackupMeta, Found};
use super::reader::BackupReader;
use super::writer::{BackupWriter, Unfinished};

/// Ends the names of whole backups.
const WHOLE: &str = ".backup";

/// Ends the names of those that are being written.
const UNFINISHED: &str = ".backup.tmp";

/// Backups in a directory that belongs to this process alone. All of it blocks: async callers use `spawn_blocking`.
#[derive(Debug, Clone)]
pub struct BackupDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    keep: usize,
    /// Number of the next backup: files are named `{number}-{id}.backup`, so that their order needs no clock.
    next: AtomicU64,
    /// Held for its lock, which ends with the process however that ends.
    _lock: File,
}

/// The name of a backup's file, taken apart; greater ones are newer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    number: u64,
    id: BackupId,
    path: PathBuf,
}

impl BackupDir {
    /// Opens a directory, creating it when needed, and clears away what a crash left half-written. Of whole backups, the
    /// newest `keep` are kept, and at least one; those that were asked for are counted apart.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Io`].
    pub fn open(path: impl AsRef<Path>, keep: usize) -> Result<Self, Error> {
        let path = create(path.as_ref())?;
        let lock = lock(&path)?;
        for entry in fs::read_dir(&path).map_err(Error::io("list", &path))? {
            let file = entry.map_err(Error::io("list", &path))?.path();
            if file.to_string_lossy().ends_with(UNFINISHED) {
                tracing::info!(path = %file.display(), "removing a backup that was not finished");
                fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            }
        }
        let last = names(&path)?.first().map_or(0, |name| name.number);
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                keep: keep.max(1),
                next: AtomicU64::new(last.saturating_add(1)),
                _lock: lock,
            }),
        })
    }

    /// Begins a backup.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one of this id, be it unfinished; [`Error::Io`].
    pub fn begin(&self, meta: BackupMeta) -> Result<BackupWriter, Error> {
        let path = self.inner.path.join(format!("{}{UNFINISHED}", meta.id));
        let sink = match File::create_new(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(Error::Exists(meta.id)),
            created => created.map_err(Error::io("create", &path))?,
        };
        let file = Unfinished { path, keep: false };
        // Only now, so that none of this id can be finished in between.
        if names(&self.inner.path)?.iter().any(|name| name.id == meta.id) {
            return Err(Error::Exists(meta.id));
        }
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let target = self.inner.path.join(format!("{number:06}-{}{WHOLE}", meta.id));
        BackupWriter::begin(self.clone(), meta, Box::new(sink), file, target)
    }

    /// All backups, the newest first. Headers and footers are read and verified, blocks are not: that a file is listed as
    /// whole says that it was, when it was written.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Found>, Error> {
        let found = names(&self.inner.path)?.into_iter().map(|name| Found {
            info: BackupReader::open(&name.id, name.path.clone()).map(|reader| reader.info),
            id: name.id,
            path: name.path,
        });
        Ok(found.collect())
    }

    /// Hands over every item of a backup. The file is read twice, first to verify all of it: of a file that is damaged
    /// nothing is handed over. Should the disk fail between the two, what was handed over is true but not all, and the
    /// error says so: only when this returns `Ok` was the backup restored.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`], [`Error::Io`].
    pub fn load(&self, id: &BackupId, each: impl FnMut(ReplicaItem<'_>)) -> Result<BackupInfo, Error> {
        let name = names(&self.inner.path)?.into_iter().find(|name| name.id == *id);
        let name = name.ok_or_else(|| Error::NotFound {
            id: id.clone(),
            directory: self.inner.path.clone(),
        })?;
        load(&name, each)
    }

    /// As [`BackupDir::load`] with the newest backup that is whole; of others the reason is logged, and the next older one
    /// is tried. `None` when there are no backups at all.
    ///
    /// # Errors
    /// [`Error::NoneWhole`] when there are some, but none can be read; [`Error::Io`] when the directory cannot be.
    pub fn newest_whole(&self, mut each: impl FnMut(ReplicaItem<'_>)) -> Result<Option<BackupInfo>, Error> {
        let names = names(&self.inner.path)?;
        for name in &names {
            match load(name, &mut each) {
                Ok(info) => return Ok(Some(info)),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(path = %name.path.display(), error, "a backup cannot be used; trying the one before it");
                }
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        Err(Error::NoneWhole {
            directory: self.inner.path.clone(),
            count: names.len(),
        })
    }

    /// Makes durable which names the directory holds.
    pub(super) fn sync(&self) -> Result<(), Error> {
        sync(&self.inner.path)
    }

    /// Removes what is older than the newest `keep` whole backups, damaged ones included; those that were asked for and
    /// periodic ones are counted apart, so that neither displace the others. A failure does no harm but to room on the disk:
    /// the next backup tries again.
    pub(super) fn remove_oldest(&self) {
        let removed = self.list().and_then(|found| {
            let mut whole = [0; 2];
            for found in found {
                let whole = &mut whole[usize::from(found.id.was_asked_for())];
                if *whole == self.inner.keep {
                    fs::remove_file(&found.path).map_err(Error::io("remove", &found.path))?;
                }
                *whole += usize::from(*whole < self.inner.keep && found.info.is_ok());
            }
            Ok(())
        });
        if let Err(error) = removed {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "old backups cannot be removed; the disk may fill up");
        }
    }
}

fn load(name: &Name, each: impl FnMut(ReplicaItem<'_>)) -> Result<BackupInfo, Error> {
    let mut reader = BackupReader::open(&name.id, name.path.clone())?;
    reader.load(each)?;
    Ok(reader.info)
}

/// Backups in a directory, the newest first; other files are not ours.
fn names(directory: &Path) -> Result<Vec<Name>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let path = entry.map_err(Error::io("list", directory))?.path();
        let parts = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
            let (number, id) = name.strip_suffix(WHOLE)?.split_once('-')?;
            Some((number.parse().ok()?, BackupId::try_new(id).ok()?))
        });
        names.extend(parts.map(|(number, id)| Name { number, id, path }));
    }
    names.sort_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Creates a directory and its parents, durably; its absolute path.
fn create(path: &Path) -> Result<PathBuf, Error> {
    let missing = path.ancestors().take_while(|path| !path.exists()).count();
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    let path = path.canonicalize().map_err(Error::io("find", path))?;
    path.ancestors().skip(1).take(missing).try_for_each(sync)?;
    Ok(path)
}

fn sync(directory: &Path) -> Result<(), Error> {
    let file = File::open(directory).map_err(Error::io("open", directory))?;
    file.sync_all().map_err(Error::io("sync", directory))
}

/// Locks the directory against other processes.
fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let options = File::options().create(true).truncate(false).write(true).open(&path);
    let file = options.map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}
