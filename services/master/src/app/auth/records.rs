//! What is kept in the control store about keys, and under which names.

use access::KeyRecord;
use control::{KeyValue, Op};

/// Everything about keys.
pub(super) const PREFIX: &str = "auth/";
/// Records: `auth/keys/{id}`, value [`KeyRecord`] as JSON.
pub(super) const KEYS: &str = "auth/keys/";
/// When keys were used last: `auth/used/{id}`, value Unix milliseconds as text.
pub(super) const USED: &str = "auth/used/";
/// Written with every change of a record: a master that reads it sees whether it has heard of all changes.
pub(super) const CHANGED: &str = "auth/changed";
/// There since the first key was made by the cluster token.
pub(super) const BEGUN: &str = "auth/begun";

pub(super) fn record_key(id: &str) -> String {
    format!("{KEYS}{id}")
}

pub(super) fn used_key(id: &str) -> String {
    format!("{USED}{id}")
}

/// A record as it is kept; none, and a word in the log, when it cannot be read: nobody gets in by a damaged record.
pub(super) fn read(pair: &KeyValue) -> Option<KeyRecord> {
    match serde_json::from_slice(&pair.value) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::error!(key = pair.key, %error, "the record of an API key cannot be read; the key does not work");
            None
        }
    }
}

pub(super) fn read_used(value: &[u8]) -> u64 {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// The steps of a change: the record, and the mark that there was one.
pub(super) fn steps(record: &KeyRecord) -> Vec<Op> {
    let put = |key: String, value: Vec<u8>| Op::Put {
        key,
        value: value.into(),
        lease: None,
    };
    let value = serde_json::to_vec(record).unwrap_or_default();
    vec![put(record_key(&record.id), value), changed(&record.id)]
}

/// The mark that there was a change.
pub(super) fn changed(id: &str) -> Op {
    Op::Put {
        key: CHANGED.to_owned(),
        value: id.as_bytes().to_vec().into(),
        lease: None,
    }
}
