//! Which requests the audit log tells of, and how.
//!
//! Operations of the table below are told with their outcome, also when nobody waited for it; every other request only when it is refused for
//! who asks or how often. Headers, query strings and bodies never come here: an entry says the route, not the address that was asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use access::{Caller, Kind};
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use telemetry::audit::{Actor, Entry, Outcome};
use transport::RequestId;

use crate::app::audit::Auditor;

/// What operators do, by method and route.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("POST", "/auth/init", "key.created"),
    ("POST", "/auth/keys", "key.created"),
    ("POST", "/auth/keys/{id}/rotate", "key.rotated"),
    ("DELETE", "/auth/keys/{id}", "key.revoked"),
    ("POST", "/backup", "backup"),
    ("POST", "/restore", "restore"),
    ("POST", "/rebalance", "rebalance"),
    ("POST", "/nodes/{id}/drain", "drain"),
    ("POST", "/cluster/join", "cluster.join"),
    ("DELETE", "/cluster/members/{name}", "cluster.member_removed"),
    ("POST", "/cluster/transfer-leader", "cluster.leader_transferred"),
    ("GET", "/cluster/snapshot", "cluster.snapshot"),
    ("PUT", "/namespaces/{ns}", "namespace.quota"),
    ("DELETE", "/namespaces/{ns}", "namespace.quota"),
];

/// What a handler adds to the entry of its request, as an extension of the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    target: Option<String>,
    details: BTreeMap<&'static str, String>,
}

impl Noted {
    /// It was about this.
    pub(crate) fn on(target: impl Into<String>) -> Self {
        Self {
            target: Some(target.into()),
            details: BTreeMap::new(),
        }
    }

    /// And this is worth knowing.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(name, value.into());
        self
    }
}

/// Sees a request from its arrival to its answer.
pub(crate) struct Witness {
    auditor: Arc<Auditor>,
    address: Option<IpAddr>,
    caller: Option<Arc<Caller>>,
    method: Method,
    route: Option<MatchedPath>,
    /// Of requests that are told in any case.
    operation: Option<Operation>,
}

struct Operation {
    event: &'static str,
    target: Option<String>,
    request_id: Option<String>,
}

impl Witness {
    pub(crate) fn new(auditor: &Arc<Auditor>, address: Option<IpAddr>, request: &Request) -> Self {
        let (method, path) = (request.method(), request.uri().path());
        let route = request.extensions().get::<MatchedPath>();
        let event = route.and_then(|route| event(method, route.as_str()));
        Self {
            auditor: Arc::clone(auditor),
            address,
            caller: None,
            method: method.clone(),
            operation: event.zip(route).map(|(event, route)| Operation {
                event,
                target: parameter(route.as_str(), path),
                request_id: RequestId::current().map(|id| id.to_string()),
            }),
            route: route.cloned(),
        }
    }

    /// It is known who asks.
    pub(crate) fn is_from(&mut self, caller: &Arc<Caller>) {
        self.caller = Some(Arc::clone(caller));
    }

    /// Whether the request is told in any case.
    pub(crate) const fn sees_operation(&self) -> bool {
        self.operation.is_some()
    }

    /// The answer leaves.
    pub(crate) fn leave(&mut self, response: &Response) {
        let status = response.status();
        let outcome = outcome(status);
        let noted = response.extensions().get::<Noted>();
        match self.operation.take() {
            Some(operation) => {
                let mut entry = self.entry(operation, outcome);
                if let Some(noted) = noted {
                    entry.target = noted.target.clone().or(entry.target);
                    entry.details.extend(noted.details.clone());
                }
                // Told as what it was, but not more often than other denials.
                match is_denial(status) {
                    true => self.auditor.denied(self.address, || entry),
                    false => self.auditor.record(entry),
                }
            }
            None if is_denial(status) => self.auditor.denied(self.address, || {
                let denied = Operation {
                    event: "denied",
                    target: None,
                    request_id: RequestId::current().map(|id| id.to_string()),
                };
                self.entry(denied, outcome)
            }),
            None => {}
        }
    }

    fn entry(&self, operation: Operation, outcome: Outcome) -> Entry {
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        Entry {
            address: self.address.map(|address| address.to_string()),
            action: Some(format!("{} {route}", self.method)),
            target: operation.target,
            request_id: operation.request_id,
            ..Entry::new(operation.event, self.actor(), outcome)
        }
    }
}

impl Witness {
    fn actor(&self) -> Actor {
        match &self.caller {
            Some(caller) if caller.kind != Kind::Anonymous => Actor {
                kind: caller.kind.as_str(),
                id: Some(caller.id.to_string()),
                name: (caller.name != caller.id).then(|| caller.name.to_string()),
            },
            _ => Actor::anonymous(),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Its client went away before there was an answer; what was asked for may have been done.
        if let Some(operation) = self.operation.take() {
            self.auditor.record(self.entry(operation, Outcome::Unknown));
        }
    }
}

fn event(method: &Method, route: &str) -> Option<&'static str> {
    let operation = OPERATIONS.iter().find(|(of, at, _)| method.as_str() == *of && route == *at);
    operation.map(|(_, _, event)| *event)
}

/// Refused for who asks, or how often.
fn is_denial(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}

fn outcome(status: StatusCode) -> Outcome {
    if !status.is_client_error() && !status.is_server_error() {
        return Outcome::Done(status.as_u16());
    }
    let word = match status {
        StatusCode::UNAUTHORIZED => "unauthenticated",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::CONFLICT => "conflict",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::GATEWAY_TIMEOUT => "unknown",
        status if status.is_client_error() => "refused",
        _ => "failed",
    };
    Outcome::Refused(status.as_u16(), word)
}

/// What stands in a path where its route has a parameter; the first if there are several.
fn parameter(route: &str, path: &str) -> Option<String> {
    let mut segments = route.split('/').zip(path.split('/'));
    let (_, value) = segments.find(|(name, _)| name.starts_with('{'))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_the_path_says() {
        assert_eq!(
            parameter("/nodes/{id}/drain", "/nodes/auxiliary%2D3/drain").as_deref(),
            Some("auxiliary-3")
        );
        assert_eq!(
            parameter("/cluster/members/{name}", "/cluster/members/a%0Ab").as_deref(),
            Some("a\nb")
        );
        assert_eq!(parameter("/backup", "/backup"), None);
    }

    #[test]
    fn what_the_rules_call_audited_is_told_and_nothing_else() {
        let told: Vec<_> = OPERATIONS.iter().map(|(method, path, _)| (*method, *path)).collect();
        for row in access::RULES {
            assert_eq!(
                row.is_audited(),
                told.contains(&(row.method, row.path)),
                "{} {}",
                row.method,
                row.path
            );
        }
    }

    #[test]
    fn every_status_has_a_word() {
        assert_eq!(outcome(StatusCode::ACCEPTED), Outcome::Done(202));
        assert_eq!(outcome(StatusCode::FORBIDDEN), Outcome::Refused(403, "forbidden"));
        assert_eq!(outcome(StatusCode::TOO_MANY_REQUESTS), Outcome::Refused(429, "rate_limited"));
        assert_eq!(outcome(StatusCode::PRECONDITION_FAILED), Outcome::Refused(412, "refused"));
        assert_eq!(outcome(StatusCode::BAD_GATEWAY), Outcome::Refused(502, "failed"));
    }
}
