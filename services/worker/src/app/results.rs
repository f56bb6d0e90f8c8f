//! Results on their way out: small ones ride in the report, large ones become blobs.

use std::io;
use std::path::Path;
use std::sync::Arc;

use api::task::{MAX_INLINE_RESULT_BYTES, ResultPart, TaskId};
use blobs::{BlobStore, Content};

/// Why a result could not be left anywhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResultError {
    #[error("the result cannot be read back")]
    Read(#[from] io::Error),
    #[error("the result could not be stored: {0}")]
    Store(#[from] blobs::Error),
}

/// Leaves results where masters find them.
#[derive(Debug)]
pub(super) struct Results {
    blobs: Arc<dyn BlobStore>,
}

impl Results {
    pub(super) const fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs }
    }

    /// Leaves one partition of a result that has `partitions` in all.
    pub(super) async fn publish(&self, task: &TaskId, file: &Path, partitions: u32) -> Result<ResultPart, ResultError> {
        let bytes = tokio::fs::metadata(file).await?.len();
        if bytes <= (MAX_INLINE_RESULT_BYTES / partitions.max(1) as usize) as u64 {
            return Ok(ResultPart::Inline(tokio::fs::read(file).await?.into()));
        }
        let name = format!("results/{}/{}-{}.arrow", task.job, task.partition, task.attempt);
        self.store(name, file, bytes).await
    }

    /// Leaves one partition of a dataset, a Parquet file, as the blob `{prefix}{partition}-{attempt}.parquet`. The manifest names
    /// files, so that even one without rows is stored, however small.
    pub(super) async fn publish_dataset(&self, task: &TaskId, file: &Path, prefix: &str) -> Result<ResultPart, ResultError> {
        let bytes = tokio::fs::metadata(file).await?.len();
        let name = format!("{prefix}{}-{}.parquet", task.partition, task.attempt);
        self.store(name, file, bytes).await
    }

    async fn store(&self, name: String, file: &Path, bytes: u64) -> Result<ResultPart, ResultError> {
        match self.blobs.put(&name, Content::File(file.to_owned())).await {
            // An earlier try whose answer was lost: names carry the attempt, so these are the same rows.
            Ok(_) | Err(blobs::Error::Conflict(_)) => Ok(ResultPart::Blob { name, bytes }),
            Err(error) => Err(error.into()),
        }
    }
}
