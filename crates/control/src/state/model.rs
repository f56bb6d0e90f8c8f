//! A naive model of the state machine: it copies everything, changes the copy and throws it away on failure; it keeps no
//! index and no counter that it can compute. Slow, and plain enough to be believed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::{Command, FIRST_REVISION, KEY_OVERHEAD, Outcome};
use crate::error::Error;
use crate::types::{Compare, KeyValue, Lease, LeaseId, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse};

/// The model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) revision: Revision,
    pub(super) keys: Vec<KeyValue>,
    leases: BTreeMap<LeaseId, Duration>,
    granted: i64,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            revision: FIRST_REVISION,
            keys: Vec::new(),
            leases: BTreeMap::new(),
            granted: 0,
        }
    }

    pub(super) fn apply(&mut self, command: &Command) -> Result<Outcome, Error> {
        let mut next = self.clone();
        let outcome = match command {
            Command::Txn { txn, user_quota } => next.txn(txn, *user_quota).map(Outcome::Txn)?,
            Command::Grant { ttl } => {
                next.granted += 1;
                let id = LeaseId(next.granted);
                next.leases.insert(id, *ttl);
                Outcome::Granted(Lease { id, ttl: *ttl })
            }
            Command::Revoke { lease } => {
                next.leases.remove(lease).ok_or(Error::LeaseNotFound)?;
                let before = next.keys.len();
                next.keys.retain(|kv| kv.lease != Some(*lease));
                next.revision += u64::from(next.keys.len() != before);
                Outcome::Revoked
            }
        };
        *self = next;
        Ok(outcome)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.keys.iter().map(charge).sum()
    }

    pub(super) fn range(&self, range: &Range) -> RangeResponse {
        let after = range.after.clone().unwrap_or_default();
        let mut items: Vec<_> = self
            .keys
            .iter()
            .filter(|kv| kv.key.starts_with(&range.prefix))
            .cloned()
            .collect();
        items.retain(|kv| range.after.is_none() || kv.key > after);
        items.sort_by(|left, right| left.key.cmp(&right.key));
        let more = range.limit > 0 && items.len() > range.limit;
        if more {
            items.truncate(range.limit);
        }
        RangeResponse {
            items,
            more,
            revision: self.revision,
        }
    }

    fn txn(&mut self, txn: &Txn, user_quota: u64) -> Result<TxnResponse, Error> {
        for branch in [&txn.then, &txn.otherwise] {
            writes_once(branch)?;
        }
        let succeeded = txn.compares.iter().all(|compare| self.holds(compare));
        let branch = if succeeded { &txn.then } else { &txn.otherwise };
        let user_before = self.user_bytes();
        let revision = self.revision + 1;
        let mut results = Vec::new();
        for op in branch {
            results.push(self.step(op, revision)?);
        }
        let used = self.user_bytes();
        if used > user_quota && used > user_before {
            return Err(Error::QuotaExceeded { used, quota: user_quota });
        }
        Ok(TxnResponse {
            succeeded,
            revision: self.revision,
            results,
        })
    }

    fn step(&mut self, op: &Op, revision: Revision) -> Result<OpResult, Error> {
        Ok(match op {
            Op::Put { key, value, lease } => {
                if lease.is_some_and(|lease| !self.leases.contains_key(&lease)) {
                    return Err(Error::LeaseNotFound);
                }
                let old = self.find(key).cloned();
                self.keys.retain(|kv| kv.key != *key);
                self.keys.push(KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                    create_revision: old.as_ref().map_or(revision, |kv| kv.create_revision),
                    mod_revision: revision,
                    version: old.map_or(0, |kv| kv.version) + 1,
                    lease: *lease,
                });
                self.revision = revision;
                OpResult::Put
            }
            Op::Delete { key } => self.remove(revision, |kv| kv.key == *key),
            Op::DeletePrefix { prefix } => self.remove(revision, |kv| kv.key.starts_with(prefix.as_str())),
            Op::Get { key } => {
                let items = self.find(key).cloned().into_iter().collect();
                OpResult::Range(RangeResponse {
                    items,
                    more: false,
                    revision: self.revision,
                })
            }
            Op::Range(range) => OpResult::Range(self.range(range)),
        })
    }

    fn remove(&mut self, revision: Revision, doomed: impl Fn(&KeyValue) -> bool) -> OpResult {
        let before = self.keys.len();
        self.keys.retain(|kv| !doomed(kv));
        let deleted = before - self.keys.len();
        if deleted > 0 {
            self.revision = revision;
        }
        OpResult::Deleted(deleted as u64)
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Exists(key) => self.find(key).is_some(),
            Compare::Absent(key) => self.find(key).is_none(),
            Compare::CreateRevision(key, revision) => self.find(key).map_or(0, |kv| kv.create_revision) == *revision,
            Compare::ModRevision(key, revision) => self.find(key).map_or(0, |kv| kv.mod_revision) == *revision,
            Compare::Value(key, value) => self.find(key).map(|kv| &kv.value) == Some(value),
        }
    }

    fn find(&self, key: &str) -> Option<&KeyValue> {
        self.keys.iter().find(|kv| kv.key == key)
    }

    fn user_bytes(&self) -> u64 {
        self.keys
            .iter()
            .filter(|kv| kv.key.starts_with("kv/") || kv.key.starts_with("kvns/"))
            .map(charge)
            .sum()
    }
}

fn charge(kv: &KeyValue) -> u64 {
    let value: &Bytes = &kv.value;
    (kv.key.len() + value.len()) as u64 + KEY_OVERHEAD
}

fn writes_once(branch: &[Op]) -> Result<(), Error> {
    for (place, op) in branch.iter().enumerate() {
        let Op::Put { key, .. } = op else { continue };
        for (other_place, other) in branch.iter().enumerate() {
            let clash = match other {
                Op::Put { key: other, .. } => place != other_place && other == key,
                Op::Delete { key: other } => other == key,
                Op::DeletePrefix { prefix } => key.starts_with(prefix.as_str()),
                Op::Get { .. } | Op::Range(_) => false,
            };
            if clash {
                return Err(Error::Invalid(String::new()));
            }
        }
    }
    Ok(())
}
