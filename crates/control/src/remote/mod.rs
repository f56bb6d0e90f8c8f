//! The engine of nodes that are not masters: calls the store through a master's private port.
//!
//! Any master will do; calls stay with one and turn to the next when it is gone or has no raft leader. Watches are opened
//! again by themselves, from the first revision not yet handed out. Who the masters are is asked again and again, so that a
//! node finds its way though all that it was told of at its start have been replaced.

mod learn;
mod watch;
pub(crate) mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::ErrorCode;
use async_trait::async_trait;
use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use transport::peer::{PeerClient, PeerError, Retry};

use crate::failover::{Failover, Failure, Repeat};
use crate::types::{Consistency, KeyValue, Lease, LeaseId, Op, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{ControlStore, Error, Result, Watch};

/// Longer than the engine's own deadline, so that it is the engine which says what became of a call.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(6);

/// A store reached through the masters.
#[derive(Debug)]
pub struct RemoteStore {
    masters: Arc<Masters>,
}

/// The masters, and the way to them.
#[derive(Debug)]
struct Masters {
    client: PeerClient,
    /// Those that this node was told of.
    given: Vec<String>,
    /// Over those that there are now.
    failover: RwLock<Arc<Failover>>,
}

impl RemoteStore {
    /// Over the private addresses (`host:port`) of some or all masters. Learns of others for as long as it lives.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(client: PeerClient, masters: Vec<String>) -> Result<Self> {
        if masters.is_empty() {
            return Err(Error::Invalid(
                "no master is given to reach the control store through".to_owned(),
            ));
        }
        let failover = RwLock::new(Arc::new(Failover::new(masters.clone(), REQUEST_TIMEOUT)));
        let given = masters;
        let masters = Arc::new(Masters { client, given, failover });
        tokio::spawn(learn::keep_learning(Arc::downgrade(&masters)));
        Ok(Self { masters })
    }
}

#[async_trait]
impl ControlStore for RemoteStore {
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse> {
        self.masters.call(Repeat::Always, wire::RANGE, &(range, consistency)).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        let writes = txn
            .then
            .iter()
            .chain(&txn.otherwise)
            .any(|op| !matches!(op, Op::Get { .. } | Op::Range(_)));
        let repeat = if writes { Repeat::UnlessExecuted } else { Repeat::Always };
        self.masters.call(repeat, wire::TXN, &txn).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        // A repeated grant leaves at worst a lease that nobody holds, and that ends by itself.
        self.masters.call(Repeat::Always, wire::GRANT, &ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        self.masters.call(Repeat::Always, wire::KEEP_ALIVE, &lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        let (attempts, failover) = (AtomicU32::new(0), self.masters.failover());
        let revoked = failover.call(Repeat::Always, |master| {
            attempts.fetch_add(1, Ordering::Relaxed);
            self.masters.ask(failover.address(master), wire::REVOKE, wire::encode(&lease))
        });
        match revoked.await {
            // An earlier attempt, whose answer was lost, has ended it.
            Err(Error::LeaseNotFound) if attempts.into_inner() > 1 => Ok(()),
            other => other,
        }
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        // A watch that has a revision from the start can be opened again without a gap before its first event.
        let from = match from {
            0 => self.now(&prefix).await? + 1,
            from => from,
        };
        watch::open(Arc::clone(&self.masters), prefix, from).await
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        self.masters.call(Repeat::Always, wire::GET, &(key, consistency)).await
    }
}

impl RemoteStore {
    async fn now(&self, prefix: &str) -> Result<Revision> {
        let one = Range {
            limit: 1,
            ..Range::prefix(prefix)
        };
        Ok(self.range(one, Consistency::Linearizable).await?.revision)
    }
}

impl Masters {
    async fn call<Q: Serialize, A: DeserializeOwned>(&self, repeat: Repeat, path: &str, request: &Q) -> Result<A> {
        let body = wire::encode(request)?;
        if body.len() > wire::MAX_REQUEST {
            let (size, limit) = (body.len(), wire::MAX_REQUEST);
            return Err(Error::Invalid(format!(
                "a request of {size} bytes; at most {limit} are allowed"
            )));
        }
        let failover = self.failover();
        failover
            .call(repeat, |master| self.ask(failover.address(master), path, Ok(body.clone())))
            .await
    }

    /// The masters as they are known now.
    fn failover(&self) -> Arc<Failover> {
        Arc::clone(&self.failover.read())
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        master: &str,
        path: &str,
        body: Result<bytes::Bytes>,
    ) -> std::result::Result<A, Failure> {
        let request = self
            .client
            .post(master, &format!("{}{path}", wire::BASE))
            .body(wire::CONTENT_TYPE, body?)
            .deadline(REQUEST_TIMEOUT)
            .retry(Retry::Never);
        let response = request.send().await.map_err(|error| peer_failure(&error))?;
        let answer = response.bytes().await.map_err(|error| peer_failure(&error))?;
        let outcome: Result<A> = wire::decode(&answer).map_err(|error| unreadable(master, &error))?;
        Ok(outcome?)
    }
}

/// A failure on the way, or of the master itself, not of its store.
fn peer_failure(error: &PeerError) -> Failure {
    let text = error.to_string();
    let everywhere = matches!(error.code(), ErrorCode::Unauthenticated | ErrorCode::Forbidden);
    let error = match error.code() {
        ErrorCode::InvalidArgument | ErrorCode::TooLarge => Error::Invalid(text),
        // A handler that broke, or an answer that makes no sense, may have come after the deed.
        ErrorCode::Timeout | ErrorCode::Internal => Error::Timeout(text),
        _ => Error::Unavailable(text),
    };
    Failure { error, everywhere }
}

fn unreadable(master: &str, error: &Error) -> Error {
    Error::Timeout(format!("the answer of {master} cannot be read: {error}"))
}
