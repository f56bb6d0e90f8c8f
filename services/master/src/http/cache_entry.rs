//! The JSON form of an entry.

use ::cache::front::{Answer, Failure, Outcome};
use api::ErrorCode;
use api::cache::{Encoding, Entry, Lifetime};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use transport::ApiError;

use super::cache;
use super::lifetime::seconds_left;
use super::params::failure;

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

/// An answer as an entry; a miss or a failed condition as the error it is. `written` is what a write asked for.
pub(super) fn entry(key: String, answer: Answer, written: Lifetime) -> Result<Entry, ApiError> {
    let mut entry = Entry {
        key,
        value: None,
        encoding: None,
        version: 0,
        ttl: None,
        node: answer.node.as_ref().to_owned(),
    };
    match answer.outcome {
        Outcome::Hit(found) => {
            let (value, encoding) = as_text(&found.value);
            (entry.value, entry.encoding, entry.version) = (Some(value), encoding, found.version);
            entry.ttl = seconds_left(found.lifetime.fresh_until_ms);
        }
        Outcome::Stored { version, .. } => {
            entry.version = version;
            entry.ttl = seconds_left(written.fresh_until_ms);
        }
        Outcome::Counter { value, version } => {
            (entry.value, entry.version) = (Some(value.to_string()), version);
        }
        Outcome::Deleted { existed: true } => {}
        Outcome::Deleted { existed: false } | Outcome::Miss { .. } => return Err(cache::miss()),
        Outcome::PreconditionFailed { version } => return Err(cache::precondition_failed(version)),
        other @ Outcome::Loading => return Err(cache::unexpected(&other)),
    }
    Ok(entry)
}

/// An increment that failed. Key and number were checked here: what the owner finds invalid is what the key holds.
pub(super) fn incr_failure(mut failed: Failure) -> ApiError {
    if failed.code == ErrorCode::InvalidArgument {
        failed.code = ErrorCode::Conflict;
    }
    failure(failed)
}
