//! The gate of the public listener: who asks, and whether the table of rules lets them. It looks at heads, in memory, and waits for
//! nobody. Handlers find who it was as [`Who`](super::who::Who).

use std::sync::Arc;

use access::{Caller, Found, Row, Rule, find};
use api::{ErrorCode, headers};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use prometheus::IntCounter;
use telemetry::{Metrics, Registry};
use transport::ApiError;
use transport::server::is_token;

use super::params;
use super::who::Known;
use crate::app::auth::{Identities, Unknown};

const API_KEY: HeaderName = HeaderName::from_static(headers::API_KEY);
const CLUSTER_TOKEN: HeaderName = HeaderName::from_static(headers::CLUSTER_TOKEN);
/// What a master that is starting refuses everything else by, and has no longer once it serves.
const STARTING: [&str; 2] = ["/", "/{*path}"];

/// Decides who comes in.
#[derive(Debug)]
pub(crate) struct Front {
    identities: Arc<Identities>,
    cluster_token: settings::Secret,
    figures: Figures,
}

/// Decisions, by how they came out.
#[derive(Debug)]
struct Figures {
    granted: IntCounter,
    unauthenticated: IntCounter,
    forbidden: IntCounter,
    unavailable: IntCounter,
}

/// What the gate found out about a request: for who counts requests, and for who writes down which were refused.
pub(crate) struct Judged {
    /// Who asks, if that is known.
    pub(crate) caller: Option<Arc<Caller>>,
    /// What the table says of the route, if there is such a route.
    pub(crate) row: Option<&'static Row>,
    /// Whether they may, or what they are told.
    pub(crate) verdict: Result<(), ApiError>,
}

impl Front {
    /// By these identities.
    pub(crate) fn new(identities: Arc<Identities>, cluster_token: settings::Secret, registry: &Registry) -> Self {
        let decisions = Metrics::new(registry).counters(
            "access_decisions_total",
            "Requests that had to show who sends them, by what became of them.",
            &["decision"],
        );
        let figure = |decision: &str| decisions.with_label_values(&[decision]);
        Self {
            identities,
            cluster_token,
            figures: Figures {
                granted: figure("granted"),
                unauthenticated: figure("unauthenticated"),
                forbidden: figure("forbidden"),
                unavailable: figure("unavailable"),
            },
        }
    }

    /// What there is to say of a request, before anything is done about it.
    pub(crate) fn judge(&self, request: &Request) -> Judged {
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if path.is_some_and(|path| STARTING.contains(&path)) {
            // Nodes that want to join take a 401 for final; that it starts, everybody may know.
            return Judged {
                caller: None,
                row: None,
                verdict: Ok(()),
            };
        }
        let found = path.map(|path| find(request.method().as_str(), path));
        let row = match found {
            Some(Found::Row(row)) => Some(row),
            _ => None,
        };
        if !self.identities.is_on() {
            let caller = Some(self.identities.anonymous());
            let verdict = Ok(());
            return Judged { caller, row, verdict };
        }
        match row.map(|row| row.rule) {
            Some(Rule::Open) => {
                let verdict = Ok(());
                return Judged {
                    caller: None,
                    row,
                    verdict,
                };
            }
            Some(Rule::OfCluster) => {
                let verdict = of_cluster(request.headers(), self.cluster_token.expose());
                return Judged {
                    caller: None,
                    row,
                    verdict,
                };
            }
            _ => {}
        }
        let caller = shown(request.headers())
            .map_err(|detail| Unknown::Wrong(detail.into()))
            .and_then(|shown| self.identities.identify(shown));
        match caller {
            Err(unknown) => Judged {
                caller: None,
                row,
                verdict: Err(refusal(unknown)),
            },
            Ok(caller) => {
                let verdict = self.allowed(&caller, found, request);
                Judged {
                    caller: Some(caller),
                    row,
                    verdict,
                }
            }
        }
    }

    /// Whether a known caller may.
    fn allowed(&self, caller: &Caller, found: Option<Found>, request: &Request) -> Result<(), ApiError> {
        match found {
            Some(Found::Row(row)) => {
                let scope = if row.rule.is_within() {
                    params::scope(named(request.uri().query())?.as_deref(), request.headers())?.one()
                } else {
                    None
                };
                let checked = row.rule.check(caller, scope.as_deref());
                checked.map_err(|denied| ApiError::new(ErrorCode::Forbidden, denied.to_string()))
            }
            // Those who are known are told what there is not.
            None => Ok(()),
            Some(Found::OtherMethod) => Err(ApiError::invalid("this path does not take this method; see /openapi.json")
                .with_status(StatusCode::METHOD_NOT_ALLOWED)),
            // What nobody has thought about is not answered.
            Some(Found::Nothing) => Err(ApiError::new(
                ErrorCode::Forbidden,
                "there is no rule for this path, so nobody may call it: this is a bug of the server",
            )),
        }
    }

    /// Does what was judged: counts it, and leaves with the request who asks.
    pub(crate) fn decide(&self, request: &mut Request, judged: Judged) -> Result<(), ApiError> {
        self.count(&judged);
        let Judged { caller, row, verdict } = judged;
        match verdict {
            Ok(()) => {
                // Where nobody has to be known, everybody is the same, and handlers know it.
                if let Some(caller) = caller.filter(|_| self.identities.is_on()) {
                    request.extensions_mut().insert(Known(caller));
                }
                Ok(())
            }
            Err(refused) => {
                let caller = caller.map(|caller| caller.to_string());
                tracing::debug!(caller, wants = ?row.map(|row| row.rule), %refused, "not let in");
                Err(refused)
            }
        }
    }

    /// Whether callers have to be known.
    pub(crate) fn is_on(&self) -> bool {
        self.identities.is_on()
    }

    fn count(&self, judged: &Judged) {
        match &judged.verdict {
            Ok(()) if judged.caller.is_some() && self.identities.is_on() => self.figures.granted.inc(),
            Ok(()) => {}
            Err(refused) => match refused.code {
                ErrorCode::Unauthenticated => self.figures.unauthenticated.inc(),
                ErrorCode::Forbidden => self.figures.forbidden.inc(),
                ErrorCode::Unavailable => self.figures.unavailable.inc(),
                _ => {}
            },
        }
    }
}

/// What a request shows of its sender: `Authorization: Bearer …`, or `X-Api-Key`.
pub(super) fn shown(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    const MALFORMED: &str = "send the key or token as Authorization: Bearer KEY, once";
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| MALFORMED)?;
        let (scheme, credential) = text.split_once(' ').ok_or(MALFORMED)?;
        let several = headers.get_all(AUTHORIZATION).iter().nth(1).is_some();
        if several || !scheme.eq_ignore_ascii_case("bearer") {
            return Err(MALFORMED);
        }
        return Ok(Some(credential.trim()));
    }
    let key = headers.get(API_KEY).map(|value| value.to_str().map_err(|_| MALFORMED));
    key.transpose()
}

/// The namespace in a query, exactly as the handlers read it: names and values are percent-encoded, and a plus is a space.
pub(super) fn named(query: Option<&str>) -> Result<Option<String>, ApiError> {
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_plain = !name.contains(['%', '+']);
        if name != "ns" && (is_plain || decoded(name)? != "ns") {
            continue;
        }
        if found.replace(decoded(value)?).is_some() {
            return Err(ApiError::invalid("ns is given twice; give it once"));
        }
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, ApiError> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| ApiError::invalid("the query is not valid UTF-8 after percent-decoding"))
}

fn refusal(unknown: Unknown) -> ApiError {
    match unknown {
        Unknown::Nothing => ApiError::new(
            ErrorCode::Unauthenticated,
            "this cluster wants to know who asks: send Authorization: Bearer KEY with an API key or a token",
        ),
        Unknown::Wrong(detail) => ApiError::new(ErrorCode::Unauthenticated, detail),
        Unknown::NotNow(detail) => ApiError::unavailable(detail),
    }
}

/// Whether the token of the cluster's nodes was sent.
pub(super) fn of_cluster(headers: &HeaderMap, token: &str) -> Result<(), ApiError> {
    let sent = headers.get(CLUSTER_TOKEN).map_or(&[][..], |sent| sent.as_bytes());
    if is_token(sent, token) {
        return Ok(());
    }
    let detail = "this wants the header X-Cluster-Token with the CLUSTER_TOKEN of this cluster";
    Err(ApiError::new(ErrorCode::Unauthenticated, detail))
}

#[cfg(test)]
mod tests {
    use axum::extract::{FromRequestParts, Query};
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn keys_are_shown_in_either_header_and_in_one_form() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            headers
        };
        assert_eq!(shown(&headers(&[])), Ok(None));
        assert_eq!(shown(&headers(&[("authorization", "Bearer k")])), Ok(Some("k")));
        assert_eq!(shown(&headers(&[("authorization", "bearer  k ")])), Ok(Some("k")));
        assert_eq!(shown(&headers(&[("x-api-key", "k")])), Ok(Some("k")));
        assert_eq!(
            shown(&headers(&[("authorization", "Bearer k"), ("x-api-key", "l")])),
            Ok(Some("k"))
        );
        for wrong in ["Basic dTpw", "k", "Bearer", ""] {
            assert!(shown(&headers(&[("authorization", wrong)])).is_err(), "{wrong}");
        }
        assert!(shown(&headers(&[("authorization", "Bearer k"), ("authorization", "Bearer l")])).is_err());
    }

    #[derive(Debug, Deserialize)]
    struct Options {
        ns: Option<String>,
    }

    /// What a handler would make of a query; none when it would refuse it.
    fn handled(query: &str) -> Option<Option<String>> {
        let request = axum::http::Request::builder().uri(format!("/?{query}")).body(()).ok()?;
        let mut parts = request.into_parts().0;
        let read = Query::<Options>::from_request_parts(&mut parts, &());
        let read = futures::executor::block_on(read).ok()?;
        Some(read.0.ns)
    }

    #[test]
    fn namespaces_in_disguise_are_seen() {
        for (query, namespace) in [
            ("", None),
            ("key=ns", None),
            ("ns=a", Some("a")),
            ("%6es=a", Some("a")),
            ("n%73=team%2Da&key=x", Some("team-a")),
            ("key=ns=b&ns=a+b", Some("a b")),
            ("ns", Some("")),
            ("NS=a", None),
        ] {
            assert_eq!(named(Some(query)).unwrap().as_deref(), namespace, "{query}");
        }
        assert!(named(Some("ns=a&%6Es=b")).is_err());
        assert!(named(Some("ns=%ff")).is_err());
    }

    proptest! {
        /// Whoever reads a query otherwise than the handler does lets the wrong people in.
        #[test]
        fn the_gate_reads_queries_as_handlers_do(query in "(ns|n%73|%6Es|%6e%73|key|n|s|\\+ns)?(=|%3D|==)?([a-c%+0-9*-]{0,4})(&(ns|%4es|n+s|key)=(a|%61|b%2b|\\*)){0,2}") {
            if let Some(read) = handled(&query)
                && let Ok(seen) = named(Some(&query))
            {
                prop_assert_eq!(seen, read);
            }
        }
    }

    /// Figures, not a test: what a known caller costs a request. `cargo test --release … -- --ignored --nocapture cost`
    #[test]
    #[ignore = "it measures"]
    fn cost_of_a_known_caller() {
        let keyring = Arc::new(crate::app::auth::Keyring::new(std::time::Duration::from_secs(600)));
        let grants = vec!["writer:team-*:cache,kv".parse().unwrap()];
        let (record, text) = access::KeyRecord::create("ci".to_owned(), grants, String::new(), 1, None);
        keyring.put(record, 1);
        let identities = Identities::on("", keyring, None);
        let headers: HeaderMap = [(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {text}")).unwrap())]
            .into_iter()
            .collect();
        let rounds = 200_000;
        let begun = std::time::Instant::now();
        for _ in 0..rounds {
            let caller = identities.identify(shown(&headers).unwrap()).unwrap();
            let Found::Row(row) = find("GET", "/cache/{key}") else {
                panic!()
            };
            let scope = params::scope(named(Some("ns=team-a&load=1")).unwrap().as_deref(), &headers).unwrap();
            row.rule.check(&caller, scope.one().as_deref()).unwrap();
        }
        println!("{:?} a request", begun.elapsed() / rounds);
    }
}
