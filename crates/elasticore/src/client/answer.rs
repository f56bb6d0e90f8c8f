//! Answers: a head that has come, and a body that may still be on its way.

use std::time::Duration;

use api::Problem;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::Error;
use super::error::root_cause;

/// How much of a foreign answer is shown.
const EXCERPT: usize = 80;

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    endpoint: String,
    timeout: Duration,
    response: reqwest::Response,
}

impl Answer {
    pub(super) const fn new(endpoint: String, timeout: Duration, response: reqwest::Response) -> Self {
        Self {
            endpoint,
            timeout,
            response,
        }
    }

    /// HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header's value, when it is there and readable.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The number in `ETag`: version of a cache entry, revision of a key.
    pub(crate) fn etag(&self) -> Option<u64> {
        self.header("etag")?.trim_start_matches("W/").trim_matches('"').parse().ok()
    }

    /// Whether the body is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"))
    }

    /// The whole body.
    pub(crate) async fn bytes(mut self) -> Result<Bytes, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// The next piece of the body, `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| {
            if error.is_timeout() {
                Error::Timeout {
                    endpoint: self.endpoint.clone(),
                    after: self.timeout,
                }
            } else {
                Error::Broken {
                    endpoint: self.endpoint.clone(),
                    reason: root_cause(&error),
                }
            }
        })
    }

    /// The body, as it came and as what it says.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<(Bytes, T), Error> {
        let (endpoint, status) = (self.endpoint.clone(), self.status());
        let body = self.bytes().await?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok((body, value)),
            Err(_) => Err(Error::Foreign {
                endpoint,
                status,
                excerpt: excerpt(&body),
            }),
        }
    }

    /// Itself when it tells of success, otherwise the problem it carries.
    pub(super) async fn into_success(self) -> Result<Self, Error> {
        if self.response.status().is_success() {
            return Ok(self);
        }
        let (endpoint, status) = (self.endpoint.clone(), self.status());
        let request_id = self.header(api::headers::REQUEST_ID).map(str::to_owned);
        let body = self.bytes().await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(mut problem) => {
                problem.request_id = problem.request_id.or(request_id);
                Err(Error::Refused(Box::new(problem)))
            }
            Err(_) => Err(Error::Foreign {
                endpoint,
                status,
                excerpt: excerpt(&body),
            }),
        }
    }
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(EXCERPT)
        .collect()
}
