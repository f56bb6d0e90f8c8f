//! A write of a client: here, and at all other owners, before it is acknowledged.

use std::time::Duration;

use api::ErrorCode;
use blobs::holder::NO_SPACE;
use bytes::Bytes;
use futures::future::join_all;
use futures::{Stream, StreamExt};
use store::blob::{BlobInfo, BlobName, Error};
use tokio::time::Instant;
use transport::peer::PeerError;

use super::Blobs;
use super::copy::CopyError;
use super::tee::tee;

/// Time to reach all owners, besides the time to send so many bytes: the ring goes on without a dead one within two seconds.
const DEADLINE: Duration = Duration::from_secs(20);
const BYTES_PER_SECOND: u64 = 16 << 20;
/// Pause before another attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a write was not acknowledged. Nothing is promised then, and the same may be written again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Here(#[from] Error),
    #[error("{0}")]
    NoSpaceThere(String),
    #[error("the owners of blob {name} do not all have it: {detail}; send it again")]
    Copies { name: BlobName, detail: String },
    #[error("this node knows no ring yet")]
    NoRing,
}

impl Blobs {
    /// Stores a blob here and with all other owners.
    pub(crate) async fn write<S, E>(&self, name: &BlobName, content: S) -> Result<BlobInfo, WriteError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        if self.owners(name).is_empty() {
            return Err(WriteError::NoRing);
        }
        let Some(second) = self.other_owners(name).first().map(|owner| owner.address.clone()) else {
            let info = self.store.put(name, content).await?;
            return self.copy_to_owners(info, Vec::new()).await;
        };
        let (here, there) = tee(content);
        let sending = self.holders.put(&second, name.as_str(), true, there.boxed());
        let (info, sent) = {
            let mut sending = std::pin::pin!(sending);
            let mut writing = std::pin::pin!(self.store.put(name, here));
            let mut sent = None;
            let info = loop {
                tokio::select! {
                    info = &mut writing => break info?,
                    outcome = &mut sending, if sent.is_none() => sent = Some(outcome),
                }
            };
            let sent = match sent {
                Some(sent) => sent,
                None => sending.await,
            };
            (info, sent)
        };
        let done = match sent {
            Ok(held) if (held.bytes, held.crc32c) == (info.bytes, info.crc32c) => vec![second],
            // It is sent again, from the file, to whoever owns it then.
            _ => Vec::new(),
        };
        self.copy_to_owners(info, done).await
    }

    /// Sends what is here to all owners that do not have it, by the ring as it changes, until all have it or the time is over.
    async fn copy_to_owners(&self, info: BlobInfo, mut done: Vec<String>) -> Result<BlobInfo, WriteError> {
        let until = Instant::now() + DEADLINE + Duration::from_secs(info.bytes / BYTES_PER_SECOND);
        loop {
            let owners = self.other_owners(&info.name).into_iter().map(|owner| owner.address);
            let missing: Vec<String> = owners.filter(|address| !done.contains(address)).collect();
            if missing.is_empty() {
                return Ok(info);
            }
            let copies = missing.into_iter().map(|address| async {
                let outcome = self.copy(&info, &address).await;
                (address, outcome)
            });
            let mut failed = None;
            for (address, outcome) in join_all(copies).await {
                match outcome {
                    Ok(()) => done.push(address),
                    Err(error) => failed = Some(final_refusal(&info.name, error)?),
                }
            }
            let Some(detail) = failed else { continue };
            if Instant::now() + PAUSE >= until {
                let name = info.name;
                return Err(WriteError::Copies { name, detail });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What will not change by trying again is an error; all else is a reason to.
fn final_refusal(name: &BlobName, error: CopyError) -> Result<String, WriteError> {
    match error {
        CopyError::Here(error) => Err(error.into()),
        CopyError::Differs(_) => Err(Error::Exists(name.clone()).into()),
        CopyError::There(PeerError::Answered { problem, .. }) if problem.code == ErrorCode::Conflict => {
            Err(Error::Exists(name.clone()).into())
        }
        CopyError::There(PeerError::Answered { problem, .. }) if problem.detail.starts_with(NO_SPACE) => {
            Err(WriteError::NoSpaceThere(problem.detail.clone()))
        }
        CopyError::There(error) => Ok(error.to_string()),
    }
}
