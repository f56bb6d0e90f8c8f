//! Shuffle files on disk: `{root}/{job}/{stage}/{partition}-{attempt}/{output}.arrow`.
//!
//! A task writes into `….tmp` and renames the directory when all of its files are complete: an attempt is there whole or not at
//! all. Files for later stages are checksummed frames, a job's result is a plain Arrow IPC stream or `dataset.parquet`. Nothing is synced: after a crash of the machine the job runs again, and the root is emptied at start.

use std::io;
use std::path::{Path, PathBuf};

use api::JobId;
use api::task::TaskId;
use async_trait::async_trait;

use super::attempt::remove;
use super::local;
use super::source::{ByteStream, ShufflePart, ShuffleSource};

/// The shuffle files of one worker.
#[derive(Debug, Clone)]
pub struct ShuffleDir {
    root: PathBuf,
}

impl ShuffleDir {
    /// Takes a directory, creates it, and removes what an earlier life left in it.
    ///
    /// # Errors
    /// When it cannot be created or emptied.
    pub fn create_empty(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        match std::fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&root)?,
        }
        Ok(Self { root })
    }

    /// Where the files of an attempt are, once published.
    #[must_use]
    pub fn attempt(&self, task: &TaskId) -> PathBuf {
        self.root
            .join(task.job.to_string())
            .join(task.stage.to_string())
            .join(format!("{}-{}", task.partition, task.attempt))
    }

    /// One file.
    #[must_use]
    pub fn file(&self, task: &TaskId, output: u32) -> PathBuf {
        file_in(&self.attempt(task), output)
    }

    /// The Parquet file of a task whose rows go into a dataset.
    #[must_use]
    pub fn dataset(&self, task: &TaskId) -> PathBuf {
        dataset_in(&self.attempt(task))
    }

    /// Removes the files of one attempt.
    ///
    /// # Errors
    /// When they are there and cannot be removed.
    pub fn remove_attempt(&self, task: &TaskId) -> io::Result<()> {
        remove(&self.attempt(task))
    }

    /// Removes all files of a job.
    ///
    /// # Errors
    /// When they are there and cannot be removed.
    pub fn forget(&self, job: JobId) -> io::Result<()> {
        remove(&self.root.join(job.to_string()))
    }
}

/// Reads this directory's files, whatever address they are asked from.
#[async_trait]
impl ShuffleSource for ShuffleDir {
    async fn open(&self, part: &ShufflePart) -> io::Result<ByteStream> {
        let task = TaskId {
            job: part.job,
            stage: part.stage,
            partition: part.partition,
            attempt: part.attempt,
        };
        let file = tokio::fs::File::open(self.file(&task, part.output)).await?;
        Ok(local::read(file.into_std().await))
    }
}

pub(super) fn file_in(attempt: &Path, output: u32) -> PathBuf {
    attempt.join(format!("{output}.arrow"))
}

pub(super) fn dataset_in(attempt: &Path) -> PathBuf {
    attempt.join("dataset.parquet")
}
