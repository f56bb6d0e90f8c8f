//! The users' key-value store: keys of the control store, so linearizable and durable before acknowledged. Each namespace has keys
//! of its own, under a prefix that its users never see.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use api::Key;
use api::cache::Condition;
use bytes::Bytes;
use control::{
    Compare, Consistency, ControlStore, Error, KeyValue, LeaseId, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse,
    Watch, user_prefix,
};

/// Bytes of the values in one page of a listing; the next page begins where they are reached.
const MAX_LISTED_BYTES: usize = 8 << 20;

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

/// Times to live of a transaction's puts: the place of the step in its branch, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ttls {
    /// Of the steps when the compares hold.
    pub then: Vec<(usize, Duration)>,
    /// Of those when they do not.
    pub otherwise: Vec<(usize, Duration)>,
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

    /// The keys of a namespace; the default one is empty.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Keys {
        Keys {
            store: Arc::clone(&self.store),
            prefix: user_prefix(namespace),
        }
    }
}

/// The keys of one namespace. Nothing here reaches those of another.
#[derive(Debug, Clone)]
pub struct Keys {
    store: Arc<dyn ControlStore>,
    prefix: Cow<'static, str>,
}

impl Keys {
    /// One key, its prefix taken off.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<KeyValue>, Error> {
        Ok(self
            .store
            .get(&self.stored(key), consistency)
            .await?
            .map(|pair| self.shown(pair)))
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
        let unused = match &outcome {
            Ok(written) => matches!(written, Written::Refused { .. }),
            Err(error) => certainly_not_executed(error),
        };
        if unused {
            self.give_back(lease).await;
        }
        outcome
    }

    async fn put_with(&self, key: &Key, value: Bytes, condition: Condition, lease: Option<LeaseId>) -> Result<Written, Error> {
        let key = self.stored(key);
        let get = Op::Get { key: key.clone() };
        let compare = compare(&key, condition);
        let is_conditional = compare.is_some();
        let created = matches!(compare, Some(Compare::Absent(_)));
        let put = Op::Put { key, value, lease };
        // What was there says whether the key is new, and which lease has nothing left to do; the value goes into the log once.
        let txn = Txn {
            compares: compare.into_iter().collect(),
            then: vec![get.clone(), put],
            otherwise: vec![get],
        };
        let answer = self.store.txn(txn).await?;
        self.end_lease_of(&answer);
        let held = held(&answer);
        Ok(if answer.succeeded {
            Written::At {
                revision: answer.revision,
                created: created || (!is_conditional && held == 0),
            }
        } else {
            Written::Refused { held }
        })
    }

    /// Removes a key when `condition` holds.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn delete(&self, key: &Key, condition: Condition) -> Result<Written, Error> {
        let key = self.stored(key);
        let compares = compare(&key, condition).into_iter().collect();
        let txn = Txn {
            compares,
            then: vec![Op::Get { key: key.clone() }, Op::Delete { key: key.clone() }],
            otherwise: vec![Op::Get { key }],
        };
        let answer = self.store.txn(txn).await?;
        self.end_lease_of(&answer);
        Ok(match (answer.succeeded, answer.results.get(1)) {
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
            prefix: self.within(prefix),
            limit,
            after: after.map(|after| self.within(after)),
        };
        let mut listing = self.store.range(range, consistency).await?;
        let mut bytes = 0;
        let fitting = listing.items.iter().take_while(|pair| {
            bytes += pair.value.len();
            bytes <= MAX_LISTED_BYTES
        });
        let fitting = fitting.count().max(1);
        if fitting < listing.items.len() {
            listing.items.truncate(fitting);
            listing.more = true;
        }
        listing.items = listing.items.into_iter().map(|pair| self.shown(pair)).collect();
        Ok(listing)
    }

    /// A transaction whose keys are [stored](Self::stored) ones. A put of `then` or `otherwise` whose place has a ttl in `ttls` gets a
    /// lease of its own.
    ///
    /// # Errors
    /// When the store does not answer, or refuses it.
    pub async fn txn(&self, mut txn: Txn, ttls: Ttls) -> Result<TxnResponse, Error> {
        let (then, otherwise) = self.granted(&mut txn, ttls).await?;
        let outcome = self.store.txn(txn).await;
        let unused = match &outcome {
            Ok(answer) if answer.succeeded => otherwise,
            Ok(_) => then,
            Err(error) if certainly_not_executed(error) => [then, otherwise].concat(),
            Err(_) => Vec::new(),
        };
        for lease in unused {
            self.give_back(Some(lease)).await;
        }
        outcome
    }

    /// Puts leases into the steps that want one.
    async fn granted(&self, txn: &mut Txn, ttls: Ttls) -> Result<(Vec<LeaseId>, Vec<LeaseId>), Error> {
        let mut granted = (Vec::new(), Vec::new());
        let then = ttls.then.into_iter().map(|ttl| (true, ttl));
        let wanted = then.chain(ttls.otherwise.into_iter().map(|ttl| (false, ttl)));
        for (in_then, (step, ttl)) in wanted {
            let branch = if in_then {
                (&mut txn.then, &mut granted.0)
            } else {
                (&mut txn.otherwise, &mut granted.1)
            };
            let new = match self.store.lease_grant(ttl).await {
                Ok(lease) => lease.id,
                Err(error) => {
                    for lease in [granted.0, granted.1].concat() {
                        self.give_back(Some(lease)).await;
                    }
                    return Err(error);
                }
            };
            if let Some(Op::Put { lease, .. }) = branch.0.get_mut(step) {
                *lease = Some(new);
            }
            branch.1.push(new);
        }
        Ok(granted)
    }

    /// Ends the lease of a pair that was replaced or removed, since it was that pair's alone: rewriting a key with a ttl would
    /// leave one behind each time. Nobody waits for it; should it fail, the lease expires by itself.
    fn end_lease_of(&self, answer: &TxnResponse) {
        let replaced = match answer.results.first() {
            Some(OpResult::Range(was)) if answer.succeeded => was.items.first().and_then(|pair| pair.lease),
            _ => None,
        };
        if let Some(lease) = replaced {
            let store = Arc::clone(&self.store);
            tokio::spawn(async move { store.revoke(lease).await.ok() });
        }
    }

    /// Ends a lease on which nothing hangs; should that fail, it expires by itself.
    async fn give_back(&self, lease: Option<LeaseId>) {
        if let Some(lease) = lease {
            self.store.revoke(lease).await.ok();
        }
    }

    /// Revision of the store now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revision(&self) -> Result<Revision, Error> {
        let any = Range {
            limit: 1,
            ..Range::prefix(&*self.prefix)
        };
        Ok(self.store.range(any, Consistency::Linearizable).await?.revision)
    }

    /// Changes of keys with a prefix; the keys in them are [stored](Self::stored) ones.
    ///
    /// # Errors
    /// When the store does not answer, or no longer has that revision.
    pub async fn watch(&self, prefix: &str, from: Revision) -> Result<Watch, Error> {
        self.store.watch(self.within(prefix), from).await
    }

    /// The key as the control store knows it.
    #[must_use]
    pub fn stored(&self, key: &Key) -> String {
        self.within(key.as_str())
    }

    fn within(&self, text: &str) -> String {
        [&*self.prefix, text].concat()
    }

    /// The name of a stored key as the user knows it.
    #[must_use]
    pub fn name<'a>(&self, stored: &'a str) -> &'a str {
        stored.strip_prefix(&*self.prefix).unwrap_or_default()
    }

    /// A pair as the user knows it.
    #[must_use]
    pub fn shown(&self, mut pair: KeyValue) -> KeyValue {
        pair.key.drain(..pair.key.len() - self.name(&pair.key).len());
        pair
    }
}

fn compare(key: &str, condition: Condition) -> Option<Compare> {
    match condition {
        Condition::None => None,
        // No key has revision 0: who compares with it has seen none.
        Condition::Absent | Condition::Version(0) => Some(Compare::Absent(key.to_owned())),
        Condition::Present => Some(Compare::Exists(key.to_owned())),
        Condition::Version(revision) => Some(Compare::ModRevision(key.to_owned(), revision)),
    }
}

/// Whether a write that failed so has left nothing behind. With an unknown outcome a lease must stay: the key may hang on it.
const fn certainly_not_executed(error: &Error) -> bool {
    !matches!(error, Error::Timeout(_) | Error::Damaged(_))
}

fn held(answer: &TxnResponse) -> Revision {
    match answer.results.first() {
        Some(OpResult::Range(listing)) => listing.items.first().map_or(0, |pair| pair.mod_revision),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use control::raft::{RaftOptions, RaftStore};

    use super::*;

    const TTL: Option<Duration> = Some(Duration::from_secs(600));

    #[tokio::test]
    async fn lease_of_a_replaced_pair_ends() {
        let directory = tempfile::tempdir().unwrap();
        let store = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
        let (kv, key) = (Kv::new(store.clone()).of("team"), Key::try_new("k").unwrap());
        let mut leases = Vec::new();
        for (condition, ttl) in [(Condition::None, TTL), (Condition::Present, TTL), (Condition::None, None)] {
            kv.put(&key, "v".into(), condition, ttl).await.unwrap();
            leases.extend(kv.get(&key, Consistency::Linearizable).await.unwrap().unwrap().lease);
        }
        assert_eq!(leases.len(), 2, "the third put has none");
        let ended = async {
            for lease in leases {
                while store.keep_alive(lease).await != Err(Error::LeaseNotFound) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended)
            .await
            .expect("both leases end");
        assert!(kv.get(&key, Consistency::Linearizable).await.unwrap().is_some());
    }
}
