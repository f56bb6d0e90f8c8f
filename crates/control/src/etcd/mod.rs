//! The etcd engine: the semantics are etcd's own, so this maps types and errors, and adds what `etcd-client` leaves out.
//!
//! The client waits for ever on a server that is gone, never reopens a watch and spreads calls over dead endpoints as
//! readily as over live ones. Hence one channel per endpoint with HTTP/2 keep-alive, a deadline on every call, failover
//! of whatever may be repeated, and watches that find another server by themselves.
//!
//! Limits are the server's: by default 128 steps and 1.5 MiB per transaction ([`Error::Invalid`] beyond).

mod admin;
mod classify;
mod convert;
mod endpoints;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Error as EtcdError, GetOptions};

pub use self::admin::EtcdAdmin;
use self::classify::LEASE_NOT_FOUND;
use self::endpoints::Endpoints;
use crate::failover::Repeat;
use crate::types::{Consistency, KeyValue, Lease, LeaseId, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{ControlStore, Error, EtcdAccess, Result, Watch};

/// Largest answer read from a server: gRPC's own bound, because a listing has none of ours.
const MAX_MESSAGE: usize = i32::MAX as usize;

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// `host:port`, `http://host:port` or `https://host:port` of every member.
    pub endpoints: Vec<String>,
    /// Bound on opening a connection.
    pub connect_timeout: Duration,
    /// Bound on a call, all attempts included.
    pub request_timeout: Duration,
    /// A connection is given up when it is silent for twice as long; a watch asks for a sign of life as often.
    pub keep_alive: Duration,
    /// How long a watch looks for a server before it ends with an error.
    pub watch_patience: Duration,
    /// What the servers are shown.
    pub access: EtcdAccess,
}

impl EtcdOptions {
    /// The usual bounds.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
            watch_patience: Duration::from_secs(15),
            access: EtcdAccess::default(),
        }
    }
}

/// A store kept by an etcd cluster.
pub struct EtcdStore {
    endpoints: Arc<Endpoints>,
}

impl EtcdStore {
    /// Prepares the channels; connections are opened when first needed, so etcd may start later than its users.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no endpoint, or one that is no address.
    pub async fn connect(options: EtcdOptions) -> Result<Self> {
        Ok(Self {
            endpoints: Arc::new(Endpoints::new(options).await?),
        })
    }
}

impl fmt::Debug for EtcdStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdStore").field("options", &self.endpoints.options).finish()
    }
}

#[async_trait]
impl ControlStore for EtcdStore {
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse> {
        let (start, options) = convert::range(&range);
        self.read(start, options, consistency).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        let writes = txn.then.iter().chain(&txn.otherwise).any(convert::is_write);
        let repeat = if writes { Repeat::UnlessExecuted } else { Repeat::Always };
        let response = self
            .endpoints
            .call(repeat, Consistency::Linearizable, |client| {
                let mut kv = client.kv_client().max_decoding_message_size(MAX_MESSAGE);
                let txn = convert::txn(&txn);
                async move { kv.txn(txn).await }
            })
            .await?;
        convert::txn_response(&response)
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        let seconds = i64::try_from(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).unwrap_or(i64::MAX);
        // A repeated grant leaves at worst a lease that nobody holds, and that ends by itself.
        let granted = self
            .endpoints
            .call(Repeat::Always, Consistency::Linearizable, |client| {
                let mut leases = client.lease_client();
                async move { leases.grant(seconds.max(1), None).await }
            })
            .await?;
        Ok(Lease {
            id: LeaseId(granted.id()),
            ttl: convert::seconds(granted.ttl()),
        })
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        // The client keeps the first answer to itself, so the ttl comes with a second one on the same stream.
        let ttl = self
            .endpoints
            .call(Repeat::Always, Consistency::Linearizable, |client| {
                let mut leases = client.lease_client();
                async move {
                    let (mut keeper, mut answers) = leases.keep_alive(lease.0).await?;
                    keeper.keep_alive().await?;
                    match answers.message().await? {
                        Some(answer) if answer.ttl() > 0 => Ok(answer.ttl()),
                        Some(_) => Err(EtcdError::LeaseKeepAliveError(LEASE_NOT_FOUND.to_owned())),
                        None => Err(EtcdError::WatchError(
                            "the keep-alive stream ended without an answer".to_owned(),
                        )),
                    }
                }
            })
            .await?;
        Ok(convert::seconds(ttl))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        let attempts = AtomicU32::new(0);
        let revoked = self
            .endpoints
            .call(Repeat::Always, Consistency::Linearizable, |client| {
                attempts.fetch_add(1, Ordering::Relaxed);
                let mut leases = client.lease_client();
                async move { leases.revoke(lease.0).await }
            })
            .await;
        match revoked {
            // An earlier attempt, whose answer was lost, has ended it.
            Err(Error::LeaseNotFound) if attempts.into_inner() > 1 => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        // "Now" is the cluster's revision, not that of a member which may lag; and a watch that has a revision from the
        // start can be reopened without a gap before its first event.
        let from = match from {
            0 => self.now(&prefix).await? + 1,
            from => from,
        };
        watch::open(Arc::clone(&self.endpoints), prefix, from).await
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        let mut found = self.read(key.as_bytes().to_vec(), GetOptions::new(), consistency).await?;
        Ok(found.items.pop())
    }
}

impl EtcdStore {
    async fn read(&self, start: Vec<u8>, options: GetOptions, consistency: Consistency) -> Result<RangeResponse> {
        let options = match consistency {
            Consistency::Linearizable => options,
            Consistency::Stale => options.with_serializable(),
        };
        let response = self
            .endpoints
            .call(Repeat::Always, consistency, |client| {
                let mut kv = client.kv_client().max_decoding_message_size(MAX_MESSAGE);
                let (start, options) = (start.clone(), options.clone());
                async move { kv.get(start, Some(options)).await }
            })
            .await?;
        convert::range_response(response, 0)
    }

    async fn now(&self, prefix: &str) -> Result<Revision> {
        let any = if prefix.is_empty() { b"\0" } else { prefix.as_bytes() };
        let options = GetOptions::new().with_count_only();
        Ok(self.read(any.to_vec(), options, Consistency::Linearizable).await?.revision)
    }
}
