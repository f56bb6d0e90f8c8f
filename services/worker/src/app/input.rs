//! Blobs as the inputs of queries: read by the threads that talk to others, not by those that queries compute on.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use blobs::{BlobInfo, BlobStore, ByteStream, Content, Error, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use transport::Traced;

/// Chunks on their way from the network to the query.
const AHEAD: usize = 8;

/// The data store, with its connections on a runtime of their own.
#[derive(Debug)]
pub(crate) struct InputBlobs {
    blobs: Arc<dyn BlobStore>,
    network: Handle,
}

impl InputBlobs {
    /// Must be called on the runtime that is to do the networking.
    pub(crate) fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            blobs,
            network: Handle::current(),
        }
    }

    async fn there<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let work = Traced::scope_of(Traced::current(), work);
        let done = AbortOnDropHandle::new(self.network.spawn(work)).await;
        done.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
    }
}

#[async_trait]
impl BlobStore for InputBlobs {
    async fn put(&self, name: &str, content: Content) -> Result<BlobInfo> {
        self.blobs.put(name, content).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<(BlobInfo, ByteStream)> {
        let (blobs, wanted) = (Arc::clone(&self.blobs), name.to_owned());
        let (info, mut content) = self.there(async move { blobs.get(&wanted, range).await }).await?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        self.network.spawn(async move {
            loop {
                let chunk = content.try_next().await.transpose();
                let Some(chunk) = chunk else { return };
                let is_last = chunk.is_err();
                // A reader that has gone away needs no more.
                if sender.send(chunk).await.is_err() || is_last {
                    return;
                }
            }
        });
        let chunks = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        Ok((info, chunks.boxed()))
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        let (blobs, wanted) = (Arc::clone(&self.blobs), name.to_owned());
        self.there(async move { blobs.stat(&wanted).await }).await
    }

    async fn delete(&self, name: &str) -> Result<bool> {
        self.blobs.delete(name).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobInfo>> {
        self.blobs.list(prefix)
    }
}
