//! The control store: the one place for what must never be lost or disagreed on.
//!
//! One trait, [`ControlStore`], with etcd's semantics; engines: `raft` (built in), `etcd` (cargo feature `etcd`), and
//! `remote`, through which nodes that are not masters reach a raft engine. One conformance suite runs against all.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures::Stream;

#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
mod error;
#[cfg(feature = "etcd")]
pub mod etcd;
mod etcd_access;
mod etcd_view;
mod failover;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod instrumented;
pub mod raft;
pub mod remote;
pub mod server;
mod state;
mod types;
mod user_keys;

pub use connect::{ControlSettings, connect, connect_etcd, connect_etcd_as};
pub use error::Error;
#[cfg(feature = "etcd")]
pub use etcd::EtcdAdmin;
pub use etcd_access::EtcdAccess;
#[cfg(not(feature = "etcd"))]
pub use etcd_view::EtcdAdmin;
pub use etcd_view::{EtcdMember, EtcdView};
pub use instrumented::Instrumented;
pub use types::{
    Compare, Consistency, Event, KeyValue, Lease, LeaseId, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse,
};
pub use user_keys::user_prefix;

/// Result of a call to the store.
pub type Result<T> = std::result::Result<T, Error>;

/// Events in revision order, without gaps; all events of one revision come in one item. The first error ends it:
/// [`Error::Compacted`] means list again, anything else means watch again from the last seen revision + 1.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Vec<Event>>> + Send>>;

/// A strongly consistent, ordered key-value store with leases and watches.
///
/// Every call has a deadline of its own and returns [`Error::Timeout`] or [`Error::Unavailable`] rather than hang.
#[async_trait]
pub trait ControlStore: Send + Sync + Debug + 'static {
    /// Keys with a prefix, in order.
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse>;

    /// The only write.
    async fn txn(&self, txn: Txn) -> Result<TxnResponse>;

    /// A new lease.
    async fn lease_grant(&self, ttl: Duration) -> Result<Lease>;

    /// Gives a lease its full ttl again and returns it; [`Error::LeaseNotFound`] when it has ended.
    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration>;

    /// Ends a lease and removes its keys.
    async fn revoke(&self, lease: LeaseId) -> Result<()>;

    /// Changes of keys with a prefix, from a revision on (inclusive; 0 means from now on).
    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch>;

    /// One key.
    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>>;

    /// Private addresses (`host:port`) of the masters that keep the store now; empty when it is kept elsewhere, or nobody knows.
    fn masters(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes one key unconditionally and returns its revision.
    async fn put(&self, key: &str, value: bytes::Bytes, lease: Option<LeaseId>) -> Result<Revision> {
        let put = Op::Put {
            key: key.to_owned(),
            value,
            lease,
        };
        Ok(self
            .txn(Txn {
                then: vec![put],
                ..Txn::default()
            })
            .await?
            .revision)
    }
}
