//! Reading: listings, compares, and transactions that change nothing.

use std::ops::Bound;
use std::sync::Arc;

use super::{State, Stored};
use crate::types::{Compare, KeyValue, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse};

impl State {
    /// One key.
    pub(crate) fn get(&self, key: &str) -> Option<KeyValue> {
        self.keys.get(key).map(|stored| stored.to_key_value(key))
    }

    /// Keys with a prefix, in order.
    pub(crate) fn range(&self, range: &Range) -> RangeResponse {
        self.range_at(range, self.revision)
    }

    /// Runs a transaction that has no write in either branch.
    pub(crate) fn query(&self, txn: &Txn) -> TxnResponse {
        let succeeded = self.holds(&txn.compares);
        let branch = if succeeded { &txn.then } else { &txn.otherwise };
        let results = branch.iter().filter_map(|op| self.read_op(op, self.revision)).collect();
        TxnResponse {
            succeeded,
            revision: self.revision,
            results,
        }
    }

    pub(super) fn holds(&self, compares: &[Compare]) -> bool {
        compares.iter().all(|compare| match compare {
            Compare::Exists(key) => self.keys.contains_key(key.as_str()),
            Compare::Absent(key) => !self.keys.contains_key(key.as_str()),
            Compare::CreateRevision(key, revision) => self.revision_of(key, |stored| stored.create_revision) == *revision,
            Compare::ModRevision(key, revision) => self.revision_of(key, |stored| stored.mod_revision) == *revision,
            Compare::Value(key, value) => self.keys.get(key.as_str()).is_some_and(|stored| stored.value == value),
        })
    }

    /// The result of a reading step; none for a writing one.
    pub(super) fn read_op(&self, op: &Op, revision: Revision) -> Option<OpResult> {
        match op {
            Op::Get { key } => {
                let items = self.get(key).into_iter().collect();
                Some(OpResult::Range(RangeResponse {
                    items,
                    more: false,
                    revision,
                }))
            }
            Op::Range(range) => Some(OpResult::Range(self.range_at(range, revision))),
            Op::Put { .. } | Op::Delete { .. } | Op::DeletePrefix { .. } => None,
        }
    }

    pub(super) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a Arc<str>, &'a Stored)> {
        self.keys
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
    }

    fn range_at(&self, range: &Range, revision: Revision) -> RangeResponse {
        let start = match &range.after {
            Some(after) if after.as_str() >= range.prefix.as_str() => Bound::Excluded(after.as_str()),
            _ => Bound::Included(range.prefix.as_str()),
        };
        let limit = if range.limit == 0 { usize::MAX } else { range.limit };
        let mut rest = self
            .keys
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(range.prefix.as_str()));
        let items = rest
            .by_ref()
            .take(limit)
            .map(|(key, stored)| stored.to_key_value(key))
            .collect();
        RangeResponse {
            items,
            more: rest.next().is_some(),
            revision,
        }
    }

    /// A counter of a key; 0 when it is absent, as in etcd.
    fn revision_of(&self, key: &str, counter: impl Fn(&Stored) -> Revision) -> Revision {
        self.keys.get(key).map_or(0, counter)
    }
}
