//! Sending this node's copy to another.

use std::io;

use futures::{StreamExt, TryStreamExt};
use store::blob::BlobInfo;
use transport::peer::PeerError;

use super::Blobs;

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Here(#[from] store::blob::Error),
    #[error(transparent)]
    There(#[from] PeerError),
    #[error("{0} holds something else under this name")]
    Differs(String),
}

impl Blobs {
    /// Has another node keep what is here, durably.
    pub(super) async fn copy(&self, info: &BlobInfo, address: &str) -> Result<(), CopyError> {
        let reader = self.store.get(&info.name).await?;
        let content = reader.into_stream().map_err(io::Error::other).boxed();
        let held = self.holders.put(address, info.name.as_str(), true, content).await?;
        if (held.bytes, held.crc32c) == (info.bytes, info.crc32c) {
            Ok(())
        } else {
            Err(CopyError::Differs(address.to_owned()))
        }
    }
}
