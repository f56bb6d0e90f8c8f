//! The user's key-value store: keys under `kv/` of the control store, so linearizable and durable before acknowledged.

use std::sync::Arc;
use std::time::Duration;

use api::Key;
use api::cache::Condition;
use bytes::Bytes;
use control::{
    Compare, Consistency, ControlStore, Error, KeyValue, LeaseId, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse,
    Watch,
};

/// Where the user's keys live.
pub const PREFIX: &str = "kv/";

/// How a conditional write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Done, at this revision.
    At {
        /// Revision of the write.
        revision: Revision,
        /// Whether the key was new.
        created: bool,
    },
    /// Removed.
    Removed {
        /// Revision of the store afterwards.
        revision: Revision,
    },
    /// There was nothing to remove.
    Absent,
    /// The condition did not hold; the revision that is there, 0 for none.
    Refused {
        /// Revision held.
        held: Revision,
    },
}

/// The store as masters offer it.
#[derive(Debug, Clone)]
pub struct Kv {
    store: Arc<dyn ControlStore>,
}

impl Kv {
    /// Over a control store.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>) -> Self {
        Self { store }
    }

    /// One key, its prefix taken off.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<KeyValue>, Error> {
        Ok(self.store.get(&stored(key), consistency).await?.map(shown))
    }

    /// Writes a key when `condition` holds.
    ///
    /// # Errors
    /// When the store does not answer, or is full.
    pub async fn put(&self, key: &Key, value: Bytes, condition: Condition, ttl: Option<Duration>) -> Result<Written, Error> {
        let lease = match ttl {
            Some(ttl) => Some(self.store.lease_grant(ttl).await?.id),
            None => None,
        };
        let outcome = self.put_with(key, value, condition, lease).await;
        if let (Some(lease), Err(_) | Ok(Written::Refused { .. })) = (lease, &outcome) {
            // Nothing hangs on it; should this fail too, it expires by itself.
            self.store.revoke(lease).await.ok();
        }
        outcome
    }

    async fn put_with(&self, key: &Key, value: Bytes, condition: Condition, lease: Option<LeaseId>) -> Result<Written, Error> {
        let key = stored(key);
        let put = Op::Put {
            key: key.clone(),
            value,
            lease,
        };
        // Without a condition both branches write, and which one was taken says whether the key was new.
        let (compare, otherwise) = match compare(&key, condition) {
            Some(compare) => (compare, Op::Get { key }),
            None => (Compare::Absent(key), put.clone()),
        };
        let unconditional = condition == Condition::None;
        let created = matches!(compare, Compare::Absent(_));
        let answer = self
            .store
            .txn(Txn {
                compares: vec![compare],
                then: vec![put],
                otherwise: vec![otherwise],
            })
            .await?;
        Ok(match (answer.succeeded, unconditional) {
            (true, _) => Written::At {
                revision: answer.revision,
                created,
            },
            (false, true) => Written::At {
                revision: answer.revision,
                created: false,
            },
            (false, false) => Written::Refused { held: held(&answer) },
        })
    }

    /// Removes a key when `condition` holds.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delete(&self, key: &Key, condition: Condition) -> Result<Written, Error> {
        let key = stored(key);
        let compares = compare(&key, condition).into_iter().collect();
        let txn = Txn {
            compares,
            then: vec![Op::Delete { key: key.clone() }],
            otherwise: vec![Op::Get { key }],
        };
        let answer = self.store.txn(txn).await?;
        Ok(match (answer.succeeded, answer.results.first()) {
            (false, _) => Written::Refused { held: held(&answer) },
            (true, Some(OpResult::Deleted(0))) => Written::Absent,
            (true, _) => Written::Removed {
                revision: answer.revision,
            },
        })
    }

    /// Keys with a prefix, in order, their own prefix taken off.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(
        &self,
        prefix: &str,
        limit: usize,
        after: Option<&str>,
        consistency: Consistency,
    ) -> Result<RangeResponse, Error> {
        let range = Range {
            prefix: format!("{PREFIX}{prefix}"),
            limit,
            after: after.map(|after| format!("{PREFIX}{after}")),
        };
        let mut listing = self.store.range(range, consistency).await?;
        listing.items = listing.items.into_iter().map(shown).collect();
        Ok(listing)
    }

    /// A transaction whose keys carry [`PREFIX`] already.
    ///
    /// # Errors
    /// When the store does not answer, or refuses it.
    pub async fn txn(&self, txn: Txn) -> Result<TxnResponse, Error> {
        self.store.txn(txn).await
    }

    /// Changes of keys with a prefix; the keys in them carry [`PREFIX`].
    ///
    /// # Errors
    /// When the store does not answer, or no longer has that revision.
    pub async fn watch(&self, prefix: &str, from: Revision) -> Result<Watch, Error> {
        self.store.watch(format!("{PREFIX}{prefix}"), from).await
    }
}

/// The key as the control store knows it.
#[must_use]
pub fn stored(key: &Key) -> String {
    format!("{PREFIX}{key}")
}

/// A pair as the user knows it.
#[must_use]
pub fn shown(mut pair: KeyValue) -> KeyValue {
    pair.key.drain(..PREFIX.len());
    pair
}

fn compare(key: &str, condition: Condition) -> Option<Compare> {
    match condition {
        Condition::None => None,
        Condition::Absent => Some(Compare::Absent(key.to_owned())),
        Condition::Present => Some(Compare::Exists(key.to_owned())),
        Condition::Version(revision) => Some(Compare::ModRevision(key.to_owned(), revision)),
    }
}

fn held(answer: &TxnResponse) -> Revision {
    match answer.results.first() {
        Some(OpResult::Range(listing)) => listing.items.first().map_or(0, |pair| pair.mod_revision),
        _ => 0,
    }
}
