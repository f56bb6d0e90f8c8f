//! What is said when the control store fails at a bad moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::ErrorCode;
use blobs::Replicated;
use cluster::View;
use control::{ControlStore, Error as StoreError, KeyValue, Lease, LeaseId, Range, RangeResponse, Result, TxnResponse, Watch};
use transport::peer::{PeerClient, PeerPolicy};

use super::*;

/// Answers so many reads; of a write nobody knows what became of it.
#[derive(Debug)]
struct Failing {
    reads: AtomicUsize,
}

impl Failing {
    fn gone<T>() -> Result<T> {
        Err(StoreError::Unavailable("it is gone".to_owned()))
    }
}

#[async_trait::async_trait]
impl ControlStore for Failing {
    async fn get(&self, _: &str, _: Consistency) -> Result<Option<KeyValue>> {
        let left = self.reads.load(Ordering::Relaxed);
        self.reads.store(left.saturating_sub(1), Ordering::Relaxed);
        if left > 0 { Ok(None) } else { Self::gone() }
    }
    async fn txn(&self, _: Txn) -> Result<TxnResponse> {
        Err(StoreError::Timeout("nobody knows".to_owned()))
    }
    async fn range(&self, _: Range, _: Consistency) -> Result<RangeResponse> {
        Self::gone()
    }
    async fn lease_grant(&self, _: Duration) -> Result<Lease> {
        Self::gone()
    }
    async fn keep_alive(&self, _: LeaseId) -> Result<Duration> {
        Self::gone()
    }
    async fn revoke(&self, _: LeaseId) -> Result<()> {
        Self::gone()
    }
    async fn watch(&self, _: String, _: Revision) -> Result<Watch> {
        Self::gone()
    }
}

/// The code of a change when the store answers so many reads.
async fn changed(reads: usize) -> ErrorCode {
    let registry = telemetry::new_registry();
    let store: Arc<dyn ControlStore> = Arc::new(Failing {
        reads: AtomicUsize::new(reads),
    });
    let peers = PeerClient::new("secret", PeerPolicy::default(), &registry);
    let blobs = Replicated::new(peers, Arc::new(View::new(Arc::clone(&store), &registry)));
    let datasets = Datasets::new(store, Arc::new(blobs));
    let name = Name::try_new("", "d").unwrap();
    let change = |_| Ok(Change::To(None, ()));
    datasets.change(&name, None, change).await.unwrap_err().code()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_said_not_to_have_been_made_only_when_it_certainly_was_not() {
    assert_eq!(changed(0).await, ErrorCode::Unavailable);
    assert_eq!(changed(1).await, ErrorCode::Timeout, "it was sent once");
    assert_eq!(
        changed(usize::MAX).await,
        ErrorCode::Timeout,
        "it was sent as often as is tried"
    );
}
