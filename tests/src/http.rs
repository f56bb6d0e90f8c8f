//! A client that checks what it gets: every error must be a problem of the closed set.

use std::time::Duration;

use api::{ErrorCode, Problem};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(90);

/// One listener, spoken to over kept-alive connections.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: Client,
}

impl Api {
    /// The listener at `host:port`.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self::over(format!("http://{address}"), tls::backend_of_plain_clients())
    }

    /// The encrypted listener at `host:port`, as a client of this configuration sees it.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn encrypted(address: &str, config: tls::ClientConfig) -> Self {
        Self::over(format!("https://{address}"), config)
    }

    fn over(base: String, config: tls::ClientConfig) -> Self {
        let client = Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(config)
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .build();
        Self {
            base,
            client: client.expect("a client can be made"),
        }
    }

    /// A request; `path` begins with `/` and is percent-encoded.
    ///
    /// # Panics
    /// When `method` is none.
    #[must_use]
    pub fn request(&self, method: &str, path: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}{path}", self.base);
        Request {
            what: format!("{method} {url}"),
            builder: self.client.request(method, url),
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// `PUT` of a body.
    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.request("PUT", path).body(body).send().await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path).send().await
    }
}

/// A request to be sent.
#[derive(Debug)]
pub struct Request {
    what: String,
    builder: reqwest::RequestBuilder,
}

impl Request {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.builder = self.builder.header(HeaderName::from_static(name), value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        let what = self.what.clone();
        self.attempt().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn attempt(self) -> Result<Answer, String> {
        let chain = |error: reqwest::Error| format!("{error:?}");
        let response = self.builder.send().await.map_err(chain)?;
        Ok(Answer {
            what: self.what,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.map_err(chain)?.to_vec(),
        })
    }

    /// Sends it and gives the answer's body as it comes, for streams without an end.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn stream(self) -> reqwest::Response {
        let what = self.what;
        self.builder.send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    what: String,
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, which has this status.
    ///
    /// # Panics
    /// When it has another one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} was answered {self}", self.what);
        self
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{} was answered {self}: {error}", self.what))
    }

    /// A header as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The problem, which has this status and code, and is whole.
    ///
    /// # Panics
    /// When it is none, or another one.
    pub fn problem(&self, status: u16, code: ErrorCode) -> Problem {
        let problem = check_problem(
            self.status,
            self.header("content-type"),
            self.header("x-request-id"),
            &self.body,
        );
        let problem = problem.unwrap_or_else(|reason| panic!("{} was answered {self}: {reason}", self.what));
        assert_eq!(
            (problem.status, problem.code),
            (status, code),
            "{} was answered {self}",
            self.what
        );
        problem
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = self.text().chars().take(2000).collect();
        write!(f, "{} {text:?}", self.status)
    }
}

/// The problem an answer carries, when it is a whole one; otherwise what is wrong with it.
pub(crate) fn check_problem(status: u16, content_type: &str, request_id: &str, body: &[u8]) -> Result<Problem, String> {
    if content_type != "application/problem+json" {
        return Err(format!("its Content-Type is {content_type:?}"));
    }
    let problem: Problem = serde_json::from_slice(body).map_err(|error| format!("it is no problem: {error}"))?;
    let expected = Problem::new(problem.code, "");
    if problem.status != status {
        return Err(format!("its member status is {}", problem.status));
    }
    if problem.kind != expected.kind || problem.title.is_empty() || problem.detail.is_empty() {
        return Err("type, title or detail is wrong".to_owned());
    }
    if request_id.is_empty() || problem.request_id.as_deref() != Some(request_id) {
        return Err(format!("its request_id is not the X-Request-Id {request_id:?}"));
    }
    Ok(problem)
}
