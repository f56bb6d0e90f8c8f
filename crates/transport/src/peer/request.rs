//! One call to a peer, from its parts to its answer.

use std::time::{Duration, Instant};

use api::{Problem, headers};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, StatusCode};
use serde::Serialize;
use telemetry::traces::{ActiveSpan, TraceContext};

use super::{PeerClient, PeerError, PeerResponse, Retry};
use crate::current::Current;

/// A call being put together.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct PeerRequest {
    client: PeerClient,
    method: Method,
    peer: String,
    path: String,
    headers: HeaderMap,
    body: Payload,
    deadline: Duration,
    retry: Retry,
    guarded: bool,
}

#[derive(Debug)]
enum Payload {
    /// May be sent again.
    Bytes(Bytes),
    /// May not.
    Stream(Option<Body>),
}

impl PeerRequest {
    pub(super) fn new(client: PeerClient, method: Method, peer: &str, path: &str) -> Self {
        let deadline = client.inner.policy.deadline;
        let retry = if method.is_safe() { Retry::Always } else { Retry::Never };
        let (peer, path) = (peer.to_owned(), path.to_owned());
        Self {
            client,
            method,
            peer,
            path,
            headers: HeaderMap::new(),
            body: Payload::Bytes(Bytes::new()),
            deadline,
            retry,
            guarded: true,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(HeaderName::from_static(name), value.into());
        self
    }

    /// Sends raw bytes.
    pub fn body(mut self, content_type: &'static str, body: Bytes) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Payload::Bytes(body);
        self
    }

    /// Sends JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.body("application/json", body.into())
    }

    /// Sends a stream; such a call is never repeated.
    pub fn stream(mut self, body: Body) -> Self {
        self.body = Payload::Stream(Some(body));
        self.retry = Retry::Never;
        self
    }

    /// Longest time until the answer's headers are there, retries included.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// When to call again; reads always and writes never, unless set.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Neither asks the peer's breaker nor tells it, or the figures, how the call ended: for probes, which must see the peer
    /// itself, and must not close it to others.
    pub fn unguarded(mut self) -> Self {
        self.guarded = false;
        self
    }

    /// Makes the call.
    ///
    /// # Errors
    /// [`PeerError`]; an answer of 400 and above is [`PeerError::Answered`].
    pub async fn send(mut self) -> Result<PeerResponse, PeerError> {
        let until = Instant::now() + self.deadline;
        let mut attempt = 0;
        loop {
            let error = match self.attempt(until, attempt).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            attempt += 1;
            let pause = Retry::backoff(attempt);
            if !self.retry.covers(&error) || Instant::now() + pause >= until {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Once; `earlier` attempts were made before.
    async fn attempt(&mut self, until: Instant, earlier: u32) -> Result<PeerResponse, PeerError> {
        let inner = &self.client.inner;
        if self.guarded {
            inner.admit(&self.peer)?;
        }
        let body = match &mut self.body {
            Payload::Bytes(bytes) => Body::from(bytes.clone()),
            Payload::Stream(body) => body.take().unwrap_or_default(),
        };
        let mut request = inner
            .http
            .client()
            .request(
                self.method.clone(),
                format!("{}://{}{}", inner.http.scheme(), self.peer, self.path),
            )
            .headers(self.headers.clone())
            .header(headers::CLUSTER_TOKEN, &inner.token)
            .body(body);
        let (id, parent) = Current::look(|current| (Some(current.id.clone()), current.trace)).unwrap_or_default();
        if let Some(id) = id {
            request = request.header(headers::REQUEST_ID, id.into_header());
        }
        let span = self.span(parent, earlier);
        if let Some(trace) = span.as_ref().and_then(ActiveSpan::context).or(parent) {
            request = request.header(headers::TRACEPARENT, &trace.to_text()[..]);
        }
        let begun = Instant::now();
        let left = until.saturating_duration_since(begun);
        let outcome = match tokio::time::timeout(left, request.send()).await {
            Ok(Ok(response)) => {
                inner.clocks.look(&self.peer, begun.elapsed(), response.headers());
                understand(&self.peer, response).await
            }
            Ok(Err(error)) => Err(classify(&self.peer, &error)),
            Err(_) => Err(PeerError::NoAnswer {
                peer: self.peer.clone(),
                detail: format!("nothing within {:?}", self.deadline),
            }),
        };
        if self.guarded {
            inner.record(&self.peer, &outcome);
        }
        if let Some(span) = span {
            tell(span, &outcome);
        }
        outcome
    }

    /// The span of an attempt, when it is made for a request that is recorded. It tells what is asked for, without ids and names.
    fn span(&self, parent: Option<TraceContext>, earlier: u32) -> Option<ActiveSpan> {
        let mut span = self.client.span(parent, "", &self.peer)?;
        span.rename(format!("{} {}", self.method, area(&self.path)).trim_end().to_owned());
        span.set("http.request.method", self.method.to_string());
        if earlier > 0 {
            span.set("http.request.resend_count", earlier);
        }
        Some(span)
    }
}

fn tell(mut span: ActiveSpan, outcome: &Result<PeerResponse, PeerError>) {
    match outcome {
        Ok(response) => span.set("http.response.status_code", response.status().as_u16()),
        Err(PeerError::Answered { problem, .. }) => {
            span.set("http.response.status_code", problem.status);
            span.fail(problem.status.to_string());
        }
        Err(error) => span.fail(error.name()),
    }
    span.end();
}

/// What part of a peer is asked: `/internal/v1/jobs` of `/internal/v1/jobs/…`. What comes after it may be a name of somebody's.
fn area(path: &str) -> &str {
    if !path.starts_with("/internal/v1/") {
        return "";
    }
    let end = path.match_indices(['/', '?']).nth(3).map_or(path.len(), |(at, _)| at);
    &path[..end]
}

/// A refused or impossible connection was certainly not executed, one too whose handshake the peer refused; anything later may have
/// been.
fn classify(peer: &str, error: &reqwest::Error) -> PeerError {
    let mut detail = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        detail = inner.to_string();
        source = inner.source();
    }
    let peer = peer.to_owned();
    if error.is_connect() || error.is_builder() || tls::was_refused(error) {
        PeerError::Unreachable { peer, detail }
    } else {
        PeerError::NoAnswer { peer, detail }
    }
}

async fn understand(peer: &str, response: reqwest::Response) -> Result<PeerResponse, PeerError> {
    let status = response.status();
    if status < StatusCode::BAD_REQUEST {
        return Ok(PeerResponse::new(peer, response));
    }
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(PeerError::Answered {
            peer: peer.to_owned(),
            problem: Box::new(problem),
        }),
        Err(_) => Err(PeerError::Malformed {
            peer: peer.to_owned(),
            detail: format!("status {status} without a problem body"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_peer_has_no_names_in_it() {
        assert_eq!(area("/internal/v1/jobs/5/stages/1"), "/internal/v1/jobs");
        assert_eq!(area("/internal/v1/blobs?prefix=secret"), "/internal/v1/blobs");
        assert_eq!(area("/internal/v1/ping"), "/internal/v1/ping");
        assert_eq!(area("/cache/secret"), "");
    }
}
