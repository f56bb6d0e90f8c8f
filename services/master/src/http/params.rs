//! Parameters that several routes share, parsed at the edge.

use std::sync::Arc;
use std::time::Duration;

use api::cache::Condition;
use api::key::InvalidKey;
use api::{ErrorCode, Key, headers};
use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use cache::front::Failure;
use transport::ApiError;

/// Longest name of a namespace, in bytes.
const MAX_NAMESPACE_BYTES: usize = 128;
/// Longest wait that a client may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// As a namespace: all of them, where a request may be about more than one.
const ALL_NAMESPACES: &str = "*";
const PREFER: HeaderName = HeaderName::from_static("prefer");
const NAMESPACE: HeaderName = HeaderName::from_static(headers::NAMESPACE);

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

/// A value that a client spelled out in a query or in JSON.
pub(super) fn value_of(key: &str, bytes: usize, limit: usize) -> Result<(), ApiError> {
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("the value of {key} has {bytes} bytes; at most {limit} are allowed");
    Err(ApiError::new(ErrorCode::TooLarge, detail))
}

/// Whose things a request is about. Nothing else in a request says it: who decides on requests may go by this alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of one namespace; the default one is empty.
    One(Arc<str>),
    /// Those of all.
    All,
}

impl Scope {
    /// The one namespace; nothing for all.
    pub(super) fn one(self) -> Option<Arc<str>> {
        match self {
            Self::One(namespace) => Some(namespace),
            Self::All => None,
        }
    }
}

/// Namespaces that a request is about: `?ns=`, else `X-Namespace`, else the default one; `*` is all.
pub(crate) fn scope(query: Option<&str>, headers: &HeaderMap) -> Result<Scope, ApiError> {
    let text = match query {
        Some(text) => text,
        None => {
            let mut named = headers.get_all(NAMESPACE).iter();
            if named.next().is_some() && named.next().is_some() {
                return Err(ApiError::invalid("there are several headers X-Namespace; send one"));
            }
            header(headers, &NAMESPACE)?.unwrap_or_default()
        }
    };
    if text == ALL_NAMESPACES {
        return Ok(Scope::All);
    }
    checked_namespace(text).map(Scope::One)
}

/// The namespace of a request that is about one.
pub(super) fn namespace(query: Option<&str>, headers: &HeaderMap) -> Result<Arc<str>, ApiError> {
    let one = scope(query, headers)?.one();
    one.ok_or_else(|| ApiError::invalid("ns=* is all namespaces, and this request is about one: name it"))
}

/// A name that a namespace may have.
pub(super) fn checked_namespace(text: &str) -> Result<Arc<str>, ApiError> {
    if text.len() > MAX_NAMESPACE_BYTES {
        return Err(ApiError::invalid(format!(
            "the namespace has {} bytes; at most {MAX_NAMESPACE_BYTES} are allowed",
            text.len()
        )));
    }
    if text.starts_with('_') || text.contains(|character: char| matches!(character, '/' | '*') || character.is_control()) {
        return Err(ApiError::invalid(format!(
            "the namespace {text:?} is not valid: it may not begin with _ and has no /, no * and no control characters"
        )));
    }
    // The default one is shared, not allocated.
    Ok(if text.is_empty() { Arc::default() } else { text.into() })
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

/// `Prefer: wait=N` (RFC 7240), a minute at most; none when the client does not want to wait. Other preferences are ignored,
/// as they must be.
pub(super) fn wait(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let preferences = header(headers, &PREFER)?.unwrap_or_default().split([',', ';']).map(str::trim);
    let Some(seconds) = preferences
        .filter_map(|one| one.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
    else {
        return Ok(None);
    };
    let seconds = seconds.1.trim().trim_matches('"');
    let wanted = seconds
        .parse()
        .map_err(|_| ApiError::invalid(format!("Prefer: wait={seconds} is not a number of seconds")))?;
    Ok(Some(Duration::from_secs(wanted).min(MAX_WAIT)).filter(|wait| !wait.is_zero()))
}

/// A use case of the cache that failed.
pub(super) fn failure(failure: Failure) -> ApiError {
    let mut error = ApiError::new(failure.code, failure.detail);
    error.retry_after = failure.code.is_retryable().then_some(Duration::from_secs(1));
    error
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn wait_is_found_among_preferences_and_bounded() {
        let asked = |text: &'static str| wait(&HeaderMap::from_iter([(PREFER, HeaderValue::from_static(text))]));
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(wait(&HeaderMap::new()).unwrap(), None);
        assert_eq!(asked("respond-async").unwrap(), None);
        assert_eq!(asked("respond-async, Wait = 5").unwrap(), seconds(5));
        assert_eq!(asked("wait=\"7\"").unwrap(), seconds(7));
        assert_eq!(asked("wait=9999").unwrap(), seconds(60));
        assert_eq!(asked("wait=0").unwrap(), None);
        for wrong in ["wait=", "wait=-1", "wait=soon", "wait=1e3"] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn namespaces_are_named_by_query_before_header() {
        let headers = HeaderMap::from_iter([(NAMESPACE, HeaderValue::from_static("of-header"))]);
        assert_eq!(*namespace(Some("of-query"), &headers).unwrap(), *"of-query");
        assert_eq!(*namespace(None, &headers).unwrap(), *"of-header");
        assert_eq!(*namespace(Some(""), &headers).unwrap(), *"", "the default one");
        assert_eq!(*namespace(None, &HeaderMap::new()).unwrap(), *"");
        for wrong in ["_ours", "a/b", "a\nb", "a*", "**", "*", &"n".repeat(129)] {
            assert!(namespace(Some(wrong), &HeaderMap::new()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_namespaces_are_asked_for_by_name() {
        let all = HeaderMap::from_iter([(NAMESPACE, HeaderValue::from_static("*"))]);
        assert_eq!(scope(None, &all).unwrap(), Scope::All);
        assert_eq!(scope(Some("*"), &HeaderMap::new()).unwrap(), Scope::All);
        assert_eq!(scope(Some("a"), &all).unwrap(), Scope::One("a".into()));
        assert_eq!(scope(None, &HeaderMap::new()).unwrap(), Scope::One(Arc::default()));
        let mut two = all;
        two.append(NAMESPACE, HeaderValue::from_static("a"));
        assert!(
            scope(None, &two).is_err(),
            "who reads the first and who reads the last would differ"
        );
    }
}
