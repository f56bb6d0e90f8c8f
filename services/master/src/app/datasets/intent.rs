//! A writer's claim on a blob that no manifest names yet: it ends with the writer, and the collector spares what it covers.

use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use control::{Compare, ControlStore, LeaseId, Op};
use lifecycle::CancellationToken;

use super::{Error, INTENTS};

/// Life of a claim whose writer says nothing.
const TTL: Duration = Duration::from_secs(30);

/// A claim. Dropped before it is kept, it takes the blob with it.
#[derive(Debug)]
pub(super) struct Intent {
    key: String,
    lease: LeaseId,
    store: Arc<dyn ControlStore>,
    blobs: Arc<dyn BlobStore>,
    /// None when it is not to be removed.
    blob: Option<String>,
    lost: CancellationToken,
    over: CancellationToken,
}

impl Intent {
    /// Claims a blob, before anything of it is written.
    pub(super) async fn declare(
        store: &Arc<dyn ControlStore>,
        blobs: &Arc<dyn BlobStore>,
        version: &str,
        blob: &str,
    ) -> Result<Self, Error> {
        let lease = store.lease_grant(TTL).await?;
        let key = format!("{INTENTS}{version}");
        let value = bytes::Bytes::copy_from_slice(blob.as_bytes());
        store.put(&key, value, Some(lease.id)).await?;
        let intent = Self {
            key,
            lease: lease.id,
            store: Arc::clone(store),
            blobs: Arc::clone(blobs),
            blob: Some(blob.to_owned()),
            lost: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        tokio::spawn(keep(Arc::clone(store), lease.id, intent.lost.clone(), intent.over.clone()));
        Ok(intent)
    }

    /// Returns when the claim has ended against the writer's will.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What the transaction that names the blob compares.
    pub(super) fn holds(&self) -> Compare {
        Compare::Exists(self.key.clone())
    }

    /// What it does besides.
    pub(super) fn end(&self) -> Op {
        Op::Delete { key: self.key.clone() }
    }

    /// The blob stays: it may have a name from now on.
    pub(super) fn keep(&mut self) {
        self.blob = None;
    }

    /// The blob goes after all: it certainly has no name.
    pub(super) fn discard(&mut self, blob: &str) {
        self.blob = Some(blob.to_owned());
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        self.over.cancel();
        let (store, blobs, lease) = (Arc::clone(&self.store), Arc::clone(&self.blobs), self.lease);
        let blob = self.blob.take();
        // Also when the client has gone and its request with it. What is not done here the collector does.
        tokio::spawn(async move {
            if let Some(blob) = blob
                && let Err(error) = blobs.delete(&blob).await
            {
                tracing::debug!(blob, %error, "what a broken upload left is collected later");
            }
            store.revoke(lease).await.ok();
        });
    }
}

async fn keep(store: Arc<dyn ControlStore>, lease: LeaseId, lost: CancellationToken, over: CancellationToken) {
    let mut renewed = tokio::time::Instant::now();
    let keeping = async {
        loop {
            tokio::time::sleep(TTL / 3).await;
            let asked = tokio::time::Instant::now();
            match store.keep_alive(lease).await {
                Ok(left) if !left.is_zero() => renewed = asked,
                Err(control::Error::LeaseNotFound) | Ok(_) => return,
                Err(_) if renewed.elapsed() > TTL => return,
                Err(_) => {}
            }
        }
    };
    tokio::select! {
        () = keeping => lost.cancel(),
        () = over.cancelled() => {}
    }
}
