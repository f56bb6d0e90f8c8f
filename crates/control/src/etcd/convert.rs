//! Our vocabulary in etcd's types and back.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::proto::{PbEvent, PbKeyValue};
use etcd_client::{
    Compare as EtcdCompare, CompareOp, DeleteOptions, EventType, GetOptions, GetResponse, PutOptions, ResponseHeader,
    Txn as EtcdTxn, TxnOp, TxnOpResponse, TxnResponse as EtcdTxnResponse,
};

use crate::types::{Compare, Event, KeyValue, LeaseId, Op, OpResult, Range, RangeResponse, Revision, Txn, TxnResponse};
use crate::{Error, Result};

/// Whether a step may change something.
pub(super) const fn is_write(op: &Op) -> bool {
    match op {
        Op::Put { .. } | Op::Delete { .. } | Op::DeletePrefix { .. } => true,
        Op::Get { .. } | Op::Range(_) => false,
    }
}

/// First key and options of a listing.
pub(super) fn range(range: &Range) -> (Vec<u8>, GetOptions) {
    let start = match &range.after {
        // The least key above `after`.
        Some(after) if *after >= range.prefix => format!("{after}\0"),
        _ if range.prefix.is_empty() => "\0".to_owned(),
        _ => range.prefix.clone(),
    };
    let options = GetOptions::new().with_range(prefix_end(&range.prefix));
    (start.into_bytes(), options.with_limit(signed(range.limit as u64)))
}

pub(super) fn txn(txn: &Txn) -> EtcdTxn {
    EtcdTxn::new()
        .when(txn.compares.iter().map(compare).collect::<Vec<_>>())
        .and_then(txn.then.iter().map(op).collect::<Vec<_>>())
        .or_else(txn.otherwise.iter().map(op).collect::<Vec<_>>())
}

fn compare(compare: &Compare) -> EtcdCompare {
    match compare {
        Compare::Exists(key) => EtcdCompare::create_revision(key.as_str(), CompareOp::NotEqual, 0),
        Compare::Absent(key) => EtcdCompare::create_revision(key.as_str(), CompareOp::Equal, 0),
        Compare::CreateRevision(key, at) => EtcdCompare::create_revision(key.as_str(), CompareOp::Equal, signed(*at)),
        Compare::ModRevision(key, at) => EtcdCompare::mod_revision(key.as_str(), CompareOp::Equal, signed(*at)),
        Compare::Value(key, value) => EtcdCompare::value(key.as_str(), CompareOp::Equal, value.as_ref()),
    }
}

fn op(op: &Op) -> TxnOp {
    match op {
        Op::Put { key, value, lease } => {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(key.as_str(), value.as_ref(), options)
        }
        Op::Delete { key } => TxnOp::delete(key.as_str(), None),
        Op::DeletePrefix { prefix } => TxnOp::delete(prefix.as_str(), Some(DeleteOptions::new().with_prefix())),
        Op::Get { key } => TxnOp::get(key.as_str(), None),
        Op::Range(listing) => {
            let (start, options) = range(listing);
            TxnOp::get(start, Some(options))
        }
    }
}

pub(super) fn txn_response(response: &EtcdTxnResponse) -> Result<TxnResponse> {
    let revision = revision(response.header());
    let results = response.op_responses().into_iter().map(|result| match result {
        TxnOpResponse::Put(_) | TxnOpResponse::Txn(_) => Ok(OpResult::Put),
        TxnOpResponse::Delete(deleted) => Ok(OpResult::Deleted(unsigned(deleted.deleted()))),
        TxnOpResponse::Get(listing) => range_response(listing, revision).map(OpResult::Range),
    });
    Ok(TxnResponse {
        succeeded: response.succeeded(),
        revision,
        results: results.collect::<Result<_>>()?,
    })
}

/// A listing; `at` is its revision when, inside a transaction, it carries none.
pub(super) fn range_response(mut response: GetResponse, at: Revision) -> Result<RangeResponse> {
    Ok(RangeResponse {
        revision: revision(response.header()).max(at),
        more: response.more(),
        items: response
            .take_kvs()
            .into_iter()
            .map(|kv| key_value(kv.0))
            .collect::<Result<_>>()?,
    })
}

pub(super) fn event(event: PbEvent) -> Result<Event> {
    let deleted = event.r#type == EventType::Delete as i32;
    let kv = event
        .kv
        .ok_or_else(|| Error::Damaged("etcd sent an event without a key".to_owned()))?;
    if deleted {
        let revision = unsigned(kv.mod_revision);
        return Ok(Event::Delete {
            key: key(kv.key)?,
            revision,
        });
    }
    key_value(kv).map(Event::Put)
}

fn key_value(kv: PbKeyValue) -> Result<KeyValue> {
    Ok(KeyValue {
        key: key(kv.key)?,
        value: Bytes::from(kv.value),
        create_revision: unsigned(kv.create_revision),
        mod_revision: unsigned(kv.mod_revision),
        version: unsigned(kv.version),
        lease: (kv.lease != 0).then_some(LeaseId(kv.lease)),
    })
}

/// Every key of ours is text; another one means that somebody else writes to this etcd.
fn key(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Error::Damaged(format!(
            "the key {shown:?} in etcd is not UTF-8; is this etcd used by another system?"
        ))
    })
}

pub(super) fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(unsigned(ttl))
}

pub(super) fn revision(header: Option<&ResponseHeader>) -> Revision {
    header.map_or(0, |header| unsigned(header.revision()))
}

/// The least key above every key with this prefix, in etcd's notation (`\0`: no bound).
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// etcd counts in signed numbers, none of which is negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
