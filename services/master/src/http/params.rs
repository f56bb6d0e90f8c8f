//! Parameters that several routes share, parsed at the edge.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::cache::Condition;
use api::key::InvalidKey;
use api::{ErrorCode, Key, headers};
use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use transport::ApiError;

/// Longest time to live: ten years.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Longest name of a namespace, in bytes.
const MAX_NAMESPACE_BYTES: usize = 128;

/// A key from a path or a query.
pub(super) fn key(text: String) -> Result<Key, ApiError> {
    Key::try_new(text).map_err(|error| {
        let code = match error {
            InvalidKey::TooLong(_) => ErrorCode::TooLarge,
            InvalidKey::Empty | InvalidKey::NotUtf8 => ErrorCode::InvalidArgument,
        };
        ApiError::new(code, error.to_string())
    })
}

/// A time to live: seconds (`60`, `1.5`) or a duration (`5m`).
pub(super) fn ttl(text: &str) -> Result<Duration, ApiError> {
    let refuse = || {
        ApiError::invalid(format!(
            "ttl {text:?} is not valid: write seconds (60) or a duration (5m), more than 0 and at most 10 years"
        ))
    };
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| refuse())?,
        Err(_) => humantime::parse_duration(text).map_err(|_| refuse())?,
    };
    if parsed.is_zero() || parsed > MAX_TTL {
        Err(refuse())
    } else {
        Ok(parsed)
    }
}

/// When something with this time to live expires, Unix milliseconds; 0 for never.
pub(super) fn expires_at_ms(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| {
        now_ms() + u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / 2).max(1)
    })
}

/// Seconds left until then, rounded up; none for never.
pub(super) fn seconds_left(expires_at_ms: u64) -> Option<u64> {
    (expires_at_ms > 0).then(|| expires_at_ms.saturating_sub(now_ms()).div_ceil(1000))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The namespace: `?ns=`, else `X-Namespace`, else the default one.
pub(super) fn namespace(query: Option<&str>, headers: &HeaderMap) -> Result<Arc<str>, ApiError> {
    let text = match query {
        Some(text) => text,
        None => header(headers, &HeaderName::from_static(headers::NAMESPACE))?.unwrap_or(""),
    };
    if text.len() > MAX_NAMESPACE_BYTES {
        return Err(ApiError::invalid(format!(
            "the namespace has {} bytes; at most {MAX_NAMESPACE_BYTES} are allowed",
            text.len()
        )));
    }
    Ok(text.into())
}

/// `If-Match` and `If-None-Match`.
pub(super) fn condition(headers: &HeaderMap) -> Result<Condition, ApiError> {
    match (header(headers, &IF_MATCH)?, header(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(Condition::None),
        (None, Some("*")) => Ok(Condition::Absent),
        (None, Some(_)) => Err(ApiError::invalid(
            "If-None-Match takes only * on writes: write when the key is absent",
        )),
        (Some("*"), None) => Ok(Condition::Present),
        (Some(tag), None) => etag(tag).map(Condition::Version),
        (Some(_), Some(_)) => Err(ApiError::invalid("send If-Match or If-None-Match, not both")),
    }
}

/// A version out of an entity tag.
pub(super) fn etag(tag: &str) -> Result<u64, ApiError> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    digits.parse().map_err(|_| {
        ApiError::invalid(format!(
            "{tag:?} is not an ETag of this server: send back the one a read or write gave"
        ))
    })
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let text = headers.get(name).map(|value| value.to_str()).transpose();
    text.map_err(|_| ApiError::invalid(format!("the header {name} has bytes that are not visible ASCII")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_takes_seconds_and_durations_and_nothing_else() {
        assert_eq!(ttl("60").unwrap(), Duration::from_secs(60));
        assert_eq!(ttl("5m").unwrap(), Duration::from_secs(300));
        for text in ["", "0", "-1", "NaN", "inf", "1e300", "99999999999", "5 fortnights", "5m "] {
            let refused = ttl(text);
            assert!(refused.is_err() || text == "5m ", "{text:?} gave {refused:?}");
        }
    }

    #[test]
    fn what_expires_never_has_no_seconds_left() {
        assert_eq!(seconds_left(expires_at_ms(None)), None);
        assert_eq!(seconds_left(expires_at_ms(Some(Duration::from_secs(60)))), Some(60));
        assert_eq!(seconds_left(1), Some(0));
    }
}
