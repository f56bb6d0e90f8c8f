//! The directory of blobs.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use tokio::fs;

use super::error::Error;
use super::index::Index;
use super::name::BlobName;
use super::reader::BlobReader;
use super::space::{Limits, Space, free_bytes};
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

/// A blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: BlobName,
    /// Bytes of content, by the size of its file.
    pub bytes: u64,
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
    index: Index,
    space: Space,
    /// Held for its lock, which ends with the process however that ends.
    _lock: std::fs::File,
}

impl BlobStore {
    /// Opens a directory without limits, creating it when needed, and clears away what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Io`].
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_within(directory, Limits::default()).await
    }

    /// Opens a directory of which blobs may take only so much.
    ///
    /// # Errors
    /// As [`BlobStore::open`].
    pub async fn open_within(directory: impl AsRef<Path>, limits: Limits) -> Result<Self, Error> {
        let directory = directory.as_ref();
        let (blobs, incoming) = (directory.join("blobs"), directory.join("incoming"));
        fs::create_dir_all(&blobs).await.map_err(Error::io("create", &blobs))?;
        let lock = lock(directory)?;
        match fs::remove_dir_all(&incoming).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("clear", &incoming)(error)),
            _ => fs::create_dir(&incoming).await.map_err(Error::io("create", &incoming))?,
        }
        writer::sync_directory(directory).await?;
        let index = scan(blobs.clone()).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                blobs,
                incoming,
                next: AtomicU64::new(0),
                index,
                space: Space::new(limits),
                _lock: lock,
            }),
        })
    }

    /// Stores a blob; durable when this returns. The same content under the same name is no error, and takes the place of a
    /// damaged file.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name holds another content, [`Error::Source`] when `content` fails, [`Error::NoSpace`],
    /// [`Error::Io`].
    pub async fn put<S, E>(&self, name: &BlobName, content: S) -> Result<BlobInfo, Error>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.write(name, content, None).await
    }

    /// Writes the file of a blob anew, from a good copy of what `info` tells.
    ///
    /// # Errors
    /// [`Error::Damaged`] when `content` is something else, and as [`BlobStore::put`].
    pub async fn heal<S, E>(&self, info: &BlobInfo, content: S) -> Result<(), Error>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.write(&info.name, content, Some(info)).await.map(drop)
    }

    async fn write<S, E>(&self, name: &BlobName, content: S, replaces: Option<&BlobInfo>) -> Result<BlobInfo, Error>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let inner = &self.inner;
        let number = inner.next.fetch_add(1, Ordering::Relaxed);
        let path = inner.incoming.join(format!("{number}.tmp"));
        let claim = inner.space.claim(&inner.incoming);
        let (_temporary, trailer, file_bytes) = writer::write(name, &path, content, claim, &inner.index).await?;
        let info = BlobInfo {
            name: name.clone(),
            bytes: trailer.len,
            crc32c: trailer.crc32c,
        };
        let place = self.path(name);
        match replaces {
            Some(expected) if *expected != info => {
                return Err(Error::Damaged {
                    name: name.clone(),
                    detail: "the copy it was to be healed from holds something else".to_owned(),
                });
            }
            Some(_) => writer::replace(&path, &place).await?,
            None if writer::link(&path, &place).await? => {}
            None => match self.stat(name).await {
                Ok(held) if held == info => {}
                Ok(_) => return Err(Error::Exists(name.clone())),
                Err(Error::Damaged { .. }) => writer::replace(&path, &place).await?,
                Err(error) => return Err(error),
            },
        }
        // Also when it was there already: its first writer may not have come so far.
        writer::sync_directory(&inner.blobs).await?;
        inner.index.insert(name.clone(), file_bytes);
        Ok(info)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Damaged`], [`Error::Io`].
    pub async fn get(&self, name: &BlobName) -> Result<BlobReader, Error> {
        let opened = BlobReader::open(name, &self.path(name)).await;
        if matches!(opened, Err(Error::NotFound(_))) {
            // Also when somebody else removed the file: listings name only what there is.
            self.inner.index.remove(name);
        }
        opened
    }

    /// What is known of a blob; its content is not read.
    ///
    /// # Errors
    /// As [`BlobStore::get`].
    pub async fn stat(&self, name: &BlobName) -> Result<BlobInfo, Error> {
        Ok(self.get(name).await?.info())
    }

    /// Reads the whole content and verifies it.
    ///
    /// # Errors
    /// As [`BlobStore::get`].
    pub async fn verify(&self, name: &BlobName) -> Result<BlobInfo, Error> {
        let reader = self.get(name).await?;
        let info = reader.info();
        reader.into_stream().try_for_each(|_| std::future::ready(Ok(()))).await?;
        Ok(info)
    }

    /// Removes a blob, durably; whether there was one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn delete(&self, name: &BlobName) -> Result<bool, Error> {
        let path = self.path(name);
        let removed = match fs::remove_file(&path).await {
            Ok(()) => writer::sync_directory(&self.inner.blobs).await.map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", path)(error)),
        }?;
        self.inner.index.remove(name);
        Ok(removed)
    }

    /// At most `limit` blobs whose names begin with `prefix` and come after `after`, in order of their names.
    #[must_use]
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Listed> {
        let page = self.inner.index.page(prefix, after, limit).into_iter();
        page.map(|(name, bytes)| Listed { name, bytes }).collect()
    }

    /// How many blobs there are, and the bytes of their files.
    #[must_use]
    pub fn totals(&self) -> (usize, u64) {
        self.inner.index.totals()
    }

    /// What blobs may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.inner.space.limits()
    }

    /// Bytes that the disk has left.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn free_bytes(&self) -> Result<u64, Error> {
        free_bytes(&self.inner.blobs)
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.inner.blobs.join(name.file_name())
    }
}

/// Takes note of every blob in a directory.
async fn scan(directory: PathBuf) -> Result<Index, Error> {
    let scanned = tokio::task::spawn_blocking(move || {
        let failed = || Error::io("list", &directory);
        let index = Index::default();
        for file in std::fs::read_dir(&directory).map_err(failed())? {
            let file = file.map_err(failed())?;
            let name = file.file_name().to_str().and_then(BlobName::from_file_name);
            if let Some(name) = name {
                index.insert(name, file.metadata().map_err(failed())?.len());
            }
        }
        Ok(index)
    });
    // It is neither cancelled nor does it panic.
    scanned.await.unwrap_or_else(|_| Ok(Index::default()))
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
