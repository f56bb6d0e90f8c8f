//! The directory of blobs.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::Stream;
use tokio::fs;

use super::error::Error;
use super::name::BlobName;
use super::reader::BlobReader;
use super::writer;

/// What is known of a blob without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub name: BlobName,
    /// Bytes of content.
    pub bytes: u64,
    /// crc32c of the content.
    pub crc32c: u32,
}

/// Blobs in a directory that belongs to this process alone.
#[derive(Debug, Clone)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    blobs: PathBuf,
    incoming: PathBuf,
    next: AtomicU64,
    /// Held for its lock, which ends with the process however that ends.
    _lock: std::fs::File,
}

impl BlobStore {
    /// Opens a directory, creating it when needed, and clears away what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Io`].
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let (blobs, incoming) = (directory.join("blobs"), directory.join("incoming"));
        fs::create_dir_all(&blobs).await.map_err(Error::io("create", &blobs))?;
        let lock = lock(directory)?;
        match fs::remove_dir_all(&incoming).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("clear", &incoming)(error)),
            _ => fs::create_dir(&incoming).await.map_err(Error::io("create", &incoming))?,
        }
        writer::sync_directory(directory).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                blobs,
                incoming,
                next: AtomicU64::new(0),
                _lock: lock,
            }),
        })
    }

    /// Stores a blob; durable when this returns. The same content under the same name is no error.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name holds another content, [`Error::Source`] when `content` fails, [`Error::Io`].
    pub async fn put<S, E>(&self, name: &BlobName, content: S) -> Result<BlobInfo, Error>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let path = self.inner.incoming.join(format!("{number}.tmp"));
        let (_temporary, trailer) = writer::write(name, &path, content).await?;
        let info = BlobInfo {
            name: name.clone(),
            bytes: trailer.len,
            crc32c: trailer.crc32c,
        };
        if !writer::link(&path, &self.path(name)).await? && self.stat(name).await? != info {
            return Err(Error::Exists(name.clone()));
        }
        // Also when it was there already: its first writer may not have come so far.
        writer::sync_directory(&self.inner.blobs).await?;
        Ok(info)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`], [`Error::Io`].
    pub async fn get(&self, name: &BlobName) -> Result<BlobReader, Error> {
        BlobReader::open(name, &self.path(name)).await
    }

    /// What is known of a blob; its content is not read.
    ///
    /// # Errors
    /// As [`BlobStore::get`].
    pub async fn stat(&self, name: &BlobName) -> Result<BlobInfo, Error> {
        Ok(self.get(name).await?.info())
    }

    /// Removes a blob, durably; whether there was one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn delete(&self, name: &BlobName) -> Result<bool, Error> {
        let path = self.path(name);
        match fs::remove_file(&path).await {
            Ok(()) => writer::sync_directory(&self.inner.blobs).await.map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", path)(error)),
        }
    }

    /// Names that begin with `prefix`, in order.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<BlobName>, Error> {
        let failed = || Error::io("list", &self.inner.blobs);
        let mut names = Vec::new();
        let mut files = fs::read_dir(&self.inner.blobs).await.map_err(failed())?;
        while let Some(file) = files.next_entry().await.map_err(failed())? {
            names.extend(
                file.file_name()
                    .to_str()
                    .and_then(BlobName::from_file_name)
                    .filter(|name| name.as_str().starts_with(prefix)),
            );
        }
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.inner.blobs.join(name.file_name())
    }
}

/// Locks the directory against other processes.
fn lock(directory: &Path) -> Result<std::fs::File, Error> {
    let path = directory.join("lock");
    let options = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = options.map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}
