//! The readers of heads of requests, for fuzzers: see [`crate::fuzzing`].

use std::sync::Arc;
use std::time::Duration;

use api::cache::Condition;
use axum::extract::Query;
use axum::http::header::{AUTHORIZATION, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use transport::ApiError;

use super::params::{self, Scope};
use super::{events, gate, jobs, kv_watch, lifetime};

/// Longest that anything may live.
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A namespace as people name it.
pub(crate) fn namespace(text: &str) -> Result<Arc<str>, ApiError> {
    params::checked_namespace(text)
}

/// Any bytes as the value of each header that is read here.
pub fn head(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let with = |name: HeaderName| HeaderMap::from_iter([(name, value.clone())]);
    if let Ok(Some(credential)) = gate::shown(&with(AUTHORIZATION)) {
        assert!(
            credential.len() < bytes.len() && credential.trim() == credential,
            "{credential:?}"
        );
    }
    let named = with(HeaderName::from_static(api::headers::NAMESPACE));
    if let Ok(Scope::One(namespace)) = params::scope(None, &named) {
        is_namespace(&namespace);
    }
    if let Ok(condition) = params::condition(&with(IF_MATCH)) {
        assert!(
            matches!(condition, Condition::Present | Condition::Version(_)),
            "{condition:?}"
        );
    }
    if let Ok(condition) = params::condition(&with(IF_NONE_MATCH)) {
        assert_eq!(condition, Condition::Absent, "a write that was to add would replace");
    }
    if let Ok(Some(wait)) = params::wait(&with(HeaderName::from_static("prefer"))) {
        assert!(wait <= Duration::from_secs(60) && !wait.is_zero(), "{wait:?}");
    }
    let Ok(text) = value.to_str() else { return };
    if let Ok(version) = params::etag(text) {
        assert_eq!(params::etag(&format!("\"{version}\"")).expect("it was written here"), version);
    }
    kv_watch::after(text).ok();
}

/// Any text as a query, and as what stands in one.
pub fn query(text: &str) {
    #[derive(Deserialize)]
    struct Options {
        ns: Option<String>,
    }

    let read = format!("/?{text}").parse::<Uri>().ok();
    let read = read.filter(|uri| uri.path() == "/");
    if let Some(uri) = read
        && let Ok(Query(handled)) = Query::<Options>::try_from_uri(&uri)
        && let Ok(seen) = gate::named(uri.query())
    {
        // A gate that reads another namespace than the handler lets the wrong people in.
        assert_eq!(seen, handled.ns, "{text:?}");
        if let Ok(Scope::One(namespace)) = params::scope(seen.as_deref(), &HeaderMap::new()) {
            is_namespace(&namespace);
        }
    }
    if let Ok((stage, task)) = jobs::place(text) {
        assert_eq!(
            jobs::place(&format!("{stage}.{task}")).expect("it was written here"),
            (stage, task)
        );
    }
    if let Ok(labels) = jobs::labels(text) {
        let again: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(again.join(","), text);
        assert!(labels.iter().all(|(key, _)| !key.is_empty()), "{text:?}");
    }
    events::kinds(Some(text)).ok();
}

/// Any text as a time to live, and as a point in time.
pub fn lifetimes(text: &str) {
    if let Ok(ttl) = lifetime::ttl(text) {
        assert!(!ttl.is_zero() && ttl <= TEN_YEARS, "{text:?}: {ttl:?}");
    }
    let now_ms = cache::now_ms();
    for given in [
        lifetime::lifetime(Some(text), None, None),
        lifetime::lifetime(Some("1"), None, Some(text)),
        lifetime::lifetime(None, Some(text), None),
    ] {
        let Ok(given) = given else { continue };
        assert!(given.fresh_until_ms > now_ms, "{text:?}: {given:?} is over at {now_ms}");
        assert!(given.expires_at_ms >= given.fresh_until_ms, "{text:?}: {given:?}");
        let longest = 2 * u64::try_from(TEN_YEARS.as_millis()).unwrap_or(u64::MAX / 2);
        assert!(given.expires_at_ms - now_ms <= longest + 60_000, "{text:?}: {given:?}");
    }
}

fn is_namespace(name: &str) {
    assert!(name.len() <= 128 && !name.starts_with('_'), "{name:?}");
    assert!(!name.contains(|c: char| c.is_control() || matches!(c, '/' | '*')), "{name:?}");
}
