//! Limits at the public door: from where a request comes, whether it may go on, and what its answer says of that.
//!
//! Answers carry `RateLimit-Limit`, `-Remaining`, `-Reset` and `-Policy` as in draft 6 of *RateLimit header fields for HTTP* (IETF httpapi). Later
//! drafts put the same into two structured fields, and still change; this form is what client libraries and gateways speak.

use std::net::IpAddr;
use std::time::Duration;

use access::Caller;
use api::ErrorCode;
use axum::extract::Request;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use telemetry::Registry;
use transport::ApiError;
use transport::server::{PeerAddress, keep};

use crate::Settings;
use crate::app::limits::{Exceeded, Held, Limits, Pass, Policy, Rate, Standing, TrustedProxies};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Holds requests to the limits of a master.
#[derive(Debug)]
pub(crate) struct Throttle {
    limits: Limits,
    proxies: TrustedProxies,
}

/// A request on its way past the limits, and what they have said so far.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    address: Option<IpAddr>,
    standing: Option<Standing>,
    held: [Option<Held>; 2],
}

impl Throttle {
    /// With the limits that the settings name.
    pub(crate) fn new(settings: &Settings, registry: &Registry) -> Self {
        let rate = |per_second| Rate {
            per_second,
            burst: settings.rate_limit_burst,
        };
        let policy = Policy {
            per_address: rate(settings.rate_limit_per_address),
            per_key: rate(settings.rate_limit_per_key),
            address_in_flight: settings.max_in_flight_per_address,
            key_in_flight: settings.max_in_flight_per_key,
        };
        Self {
            limits: Limits::new(policy, registry),
            // Those that cannot be read were a problem of the settings.
            proxies: TrustedProxies(
                settings
                    .trusted_proxies
                    .0
                    .iter()
                    .filter_map(|text| text.parse().ok())
                    .collect(),
            ),
        }
    }

    /// A request comes in: found out from where, and held to the limits of its address. That is done before anything is known of who asks, so
    /// that guessing at keys is limited too.
    pub(crate) fn arrive(&self, request: &Request) -> (Passage, Result<(), ApiError>) {
        let mut passage = Passage {
            address: self.client(request),
            ..Passage::default()
        };
        let pass = match passage.address {
            Some(address) if !is_probe(request.uri().path()) => self.limits.address(address),
            _ => Ok(Pass::default()),
        };
        let outcome = passage.take(0, pass);
        (passage, outcome)
    }

    /// It is known who asks: a key, the subject of a token, or everybody who need not be known.
    pub(crate) fn identified(&self, passage: &mut Passage, path: &str, caller: &Caller) -> Result<(), ApiError> {
        if !self.limits.concern_callers() || is_probe(path) {
            return Ok(());
        }
        // A token may have a subject that is also the name of a key.
        let id = format!("{} {}", caller.kind.as_str(), caller.id);
        passage.take(1, self.limits.caller(&id))
    }

    fn client(&self, request: &Request) -> Option<IpAddr> {
        let PeerAddress(peer) = request.extensions().get()?;
        let forwarded = request.headers().get_all(FORWARDED_FOR).iter();
        // What is no text names no address, and so ends the walk.
        let forwarded: Vec<&str> = forwarded.map(|line| line.to_str().unwrap_or_default()).collect();
        Some(self.proxies.client(peer.ip(), forwarded.into_iter()))
    }
}

impl Passage {
    /// Where the request comes from, if it came over a network.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether there is anything to be done when the answer leaves.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!((&self.standing, &self.held), (None, [None, None]))
    }

    /// The answer leaves: it says where the caller stands, and the request is under way until the last byte of it has been handed over.
    pub(crate) fn leave(&mut self, response: &mut Response) {
        if let Some(standing) = self.standing.take() {
            tell(standing, response.headers_mut());
        }
        let held = std::mem::take(&mut self.held);
        if !matches!(held, [None, None]) {
            keep(response, held);
        }
    }

    fn take(&mut self, place: usize, pass: Result<Pass, Exceeded>) -> Result<(), ApiError> {
        let pass = pass.map_err(|exceeded| {
            // What is refused is not under way.
            self.held = [None, None];
            self.standing = exceeded.standing;
            let detail = format!("{}; nothing was executed, try again after a while", exceeded.what);
            let mut error = ApiError::new(ErrorCode::RateLimited, detail);
            error.retry_after = Some(Duration::from_secs(seconds(exceeded.retry_after)));
            error
        })?;
        self.held[place] = pass.held;
        // Of two limits, the one that will be reached first.
        if let Some(new) = pass.standing
            && self.standing.is_none_or(|old| new.remaining <= old.remaining)
        {
            self.standing = Some(new);
        }
        Ok(())
    }
}

/// Probes of load balancers are answered whatever else is asked.
fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/ready")
}

/// Whole seconds, and not less than it takes.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn tell(standing: Standing, headers: &mut HeaderMap) {
    let Standing {
        limit,
        remaining,
        reset,
        per_second,
    } = standing;
    headers.insert(LIMIT, HeaderValue::from(limit));
    headers.insert(REMAINING, HeaderValue::from(remaining));
    headers.insert(RESET, HeaderValue::from(seconds(reset)));
    if let Ok(policy) = HeaderValue::from_str(&format!("{per_second};w=1;burst={limit}")) {
        headers.insert(POLICY, policy);
    }
}
