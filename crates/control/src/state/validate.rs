//! What makes a transaction wrong whatever the store holds. The engine asks before it proposes, the machine again when it
//! applies.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::types::{Compare, Op, Txn};

/// Steps or compares in one transaction.
const MAX_STEPS: usize = 1024;

/// Bytes of all keys and values in one transaction, as etcd's default for a request.
const MAX_BYTES: usize = 1536 * 1024;

/// Refuses a transaction that is too large, names an empty key, or writes a key twice in one branch.
pub(crate) fn validate(txn: &Txn) -> Result<(), Error> {
    let steps = txn.compares.len().max(txn.then.len()).max(txn.otherwise.len());
    if steps > MAX_STEPS {
        return Err(Error::Invalid(format!(
            "{steps} steps in one transaction; at most {MAX_STEPS} are allowed"
        )));
    }
    let bytes = txn_bytes(txn);
    if bytes > MAX_BYTES {
        return Err(Error::Invalid(format!(
            "{bytes} bytes in one transaction; at most {MAX_BYTES} are allowed"
        )));
    }
    if txn.compares.iter().any(|compare| compare_key(compare).is_empty()) || steps_of(txn).any(names_empty_key) {
        return Err(Error::Invalid("a key must not be empty".to_owned()));
    }
    writes_once(&txn.then)?;
    writes_once(&txn.otherwise)
}

/// Bytes of all keys and values in a transaction.
pub(super) fn txn_bytes(txn: &Txn) -> usize {
    txn.compares
        .iter()
        .map(compare_bytes)
        .chain(steps_of(txn).map(op_bytes))
        .sum()
}

/// Whether neither branch can change anything.
pub(crate) fn is_read_only(txn: &Txn) -> bool {
    steps_of(txn).all(|op| matches!(op, Op::Get { .. } | Op::Range(_)))
}

fn steps_of(txn: &Txn) -> impl Iterator<Item = &Op> {
    txn.then.iter().chain(&txn.otherwise)
}

fn writes_once(branch: &[Op]) -> Result<(), Error> {
    // In order, so that every node names the same key.
    let mut written = BTreeSet::new();
    for op in branch {
        if let Op::Put { key, .. } = op
            && !written.insert(key.as_str())
        {
            return Err(Error::Invalid(format!("the transaction writes the key {key:?} twice")));
        }
    }
    if written.is_empty() {
        return Ok(());
    }
    for op in branch {
        let clash = match op {
            Op::Delete { key } => written.get(key.as_str()),
            Op::DeletePrefix { prefix } => written
                .range(prefix.as_str()..)
                .next()
                .filter(|key| key.starts_with(prefix.as_str())),
            Op::Put { .. } | Op::Get { .. } | Op::Range(_) => None,
        };
        if let Some(key) = clash {
            return Err(Error::Invalid(format!(
                "the transaction both writes and deletes the key {key:?}"
            )));
        }
    }
    Ok(())
}

pub(super) fn compare_key(compare: &Compare) -> &str {
    match compare {
        Compare::Exists(key)
        | Compare::Absent(key)
        | Compare::CreateRevision(key, _)
        | Compare::ModRevision(key, _)
        | Compare::Value(key, _) => key,
    }
}

fn compare_bytes(compare: &Compare) -> usize {
    let value = if let Compare::Value(_, value) = compare {
        value.len()
    } else {
        0
    };
    compare_key(compare).len() + value
}

fn op_bytes(op: &Op) -> usize {
    match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete { key } | Op::Get { key } => key.len(),
        Op::DeletePrefix { prefix } => prefix.len(),
        Op::Range(range) => range.prefix.len() + range.after.as_ref().map_or(0, String::len),
    }
}

fn names_empty_key(op: &Op) -> bool {
    match op {
        Op::Put { key, .. } | Op::Delete { key } | Op::Get { key } => key.is_empty(),
        Op::DeletePrefix { .. } | Op::Range(_) => false,
    }
}
