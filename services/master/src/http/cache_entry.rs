//! The JSON form of an entry.

use api::cache::{Encoding, Entry};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use transport::ApiError;

use super::{cache, params};
use crate::app::cache::{Answer, Outcome};

/// Text as it is, other bytes as base64.
fn as_text(value: &Bytes) -> (String, Option<Encoding>) {
    match std::str::from_utf8(value) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (STANDARD.encode(value), Some(Encoding::Base64)),
    }
}

/// The bytes that `value` spells.
pub(super) fn from_text(value: String, encoding: Option<Encoding>) -> Result<Bytes, ApiError> {
    match encoding {
        None => Ok(value.into()),
        Some(Encoding::Base64) => STANDARD
            .decode(value)
            .map(Bytes::from)
            .map_err(|error| ApiError::invalid(format!("the value is not base64: {error}"))),
    }
}

/// An answer as an entry; a miss or a failed condition as the error it is. `ttl` is what a write asked for.
pub(super) fn entry(key: String, answer: Answer, written_until_ms: u64) -> Result<Entry, ApiError> {
    let node = answer.node.to_string();
    let done = |version, until| Entry {
        key: key.clone(),
        value: None,
        encoding: None,
        version,
        ttl: params::seconds_left(until),
        node: node.clone(),
    };
    match answer.outcome {
        Outcome::Hit {
            value,
            version,
            expires_at_ms,
            ..
        } => {
            let (value, encoding) = as_text(&value);
            Ok(Entry {
                value: Some(value),
                encoding,
                ..done(version, expires_at_ms)
            })
        }
        Outcome::Stored { version, .. } => Ok(done(version, written_until_ms)),
        Outcome::Deleted { existed: true } => Ok(done(0, 0)),
        Outcome::Deleted { existed: false } | Outcome::Miss => Err(cache::miss()),
        Outcome::PreconditionFailed { version } => Err(cache::precondition_failed(version)),
        other @ Outcome::Counter { .. } => Err(cache::unexpected(&other)),
    }
}
