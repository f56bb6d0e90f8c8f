//! Results on their way out: small ones ride in the report, large ones become blobs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::ErrorCode;
use api::task::{MAX_INLINE_RESULT_BYTES, ResultPart, TaskId};
use cluster::View;
use transport::peer::{Method, PeerClient, PeerError};

/// Namespace under which the ring places blobs.
const NAMESPACE: &str = "_blobs";
/// Attempts to store a blob.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// Time to store a blob, besides the time for its bytes.
const UPLOAD_GRACE: Duration = Duration::from_secs(30);
/// The slowest that bytes may flow.
const BYTES_A_SECOND: u64 = 4 << 20;

/// Why a result could not be left anywhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResultError {
    #[error("the result cannot be read back")]
    Read(#[from] io::Error),
    #[error("the result is too large for a report, and there is no auxiliary in the ring to keep it")]
    NoAuxiliary,
    #[error("the result could not be stored: {0}")]
    Store(#[from] PeerError),
}

/// Leaves results where masters find them.
#[derive(Debug)]
pub(super) struct Results {
    peers: PeerClient,
    view: Arc<View>,
}

impl Results {
    pub(super) const fn new(peers: PeerClient, view: Arc<View>) -> Self {
        Self { peers, view }
    }

    /// Leaves one partition of a result that has `partitions` in all.
    pub(super) async fn publish(&self, task: &TaskId, file: &Path, partitions: u32) -> Result<ResultPart, ResultError> {
        let bytes = tokio::fs::metadata(file).await?.len();
        if bytes <= (MAX_INLINE_RESULT_BYTES / partitions.max(1) as usize) as u64 {
            return Ok(ResultPart::Inline(tokio::fs::read(file).await?.into()));
        }
        let name = format!("results/{}/{}-{}.arrow", task.job, task.partition, task.attempt);
        self.store_with_patience(name, file, bytes).await
    }

    /// Leaves one partition of a dataset, a Parquet file, as the blob `{prefix}{partition}-{attempt}.parquet`. The manifest names
    /// files, so that even one without rows is stored, however small.
    pub(super) async fn publish_dataset(&self, task: &TaskId, file: &Path, prefix: &str) -> Result<ResultPart, ResultError> {
        let bytes = tokio::fs::metadata(file).await?.len();
        let name = format!("{prefix}{}-{}.parquet", task.partition, task.attempt);
        self.store_with_patience(name, file, bytes).await
    }

    async fn store_with_patience(&self, name: String, file: &Path, bytes: u64) -> Result<ResultPart, ResultError> {
        let mut attempt = 1;
        loop {
            match self.store(&name, file, bytes).await {
                Ok(()) => return Ok(ResultPart::Blob { name, bytes }),
                Err(error) if attempt == ATTEMPTS || matches!(error, ResultError::Read(_)) => return Err(error),
                Err(error) => tracing::warn!(name, %error, "a result could not be stored; trying again"),
            }
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }

    async fn store(&self, name: &str, file: &Path, bytes: u64) -> Result<(), ResultError> {
        let owner = self
            .view
            .load()
            .routing()
            .owner(NAMESPACE, name)
            .map(|owner| owner.address.clone());
        let owner = owner.ok_or(ResultError::NoAuxiliary)?;
        let body = tokio::fs::File::open(file).await?;
        let deadline = UPLOAD_GRACE + Duration::from_secs(bytes / BYTES_A_SECOND);
        let call = self
            .peers
            .request(Method::PUT, &owner, &format!("/internal/v1/blobs/{name}"))
            .stream(body.into());
        match call.deadline(deadline).send().await {
            Ok(_) => Ok(()),
            // An earlier try whose answer was lost: names carry the attempt, so these are the same bytes.
            Err(PeerError::Answered { problem, .. }) if problem.code == ErrorCode::Conflict => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
