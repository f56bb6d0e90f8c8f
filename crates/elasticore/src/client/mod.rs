//! A client of the public HTTP API. Only this module knows the HTTP library.
//!
//! Addresses are tried in order, and the next one only when the request was certainly not executed: it could not be
//! connected to, or answered so. A request whose outcome is unknown is never sent twice.

mod answer;
mod endpoint;
mod error;
mod request;

use std::time::{Duration, Instant};

pub(crate) use answer::Answer;
pub(crate) use endpoint::{DEFAULT as DEFAULT_ENDPOINT, Endpoint};
pub(crate) use error::Error;
pub(crate) use request::{Request, segment};

use crate::args::GlobalArgs;

/// Longest wait for a connection to one address, so that the next is tried in good time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the API.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoints: Vec<Endpoint>,
    timeout: Duration,
    verbose: bool,
}

impl Client {
    /// A client as the global flags say.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub(crate) fn new(global: &GlobalArgs) -> anyhow::Result<Self> {
        Self::of(global.endpoints.clone(), global.timeout.0, global.verbose > 0)
    }

    /// A client of these addresses.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub(crate) fn of(endpoints: Vec<Endpoint>, timeout: Duration, verbose: bool) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("elasticore/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .read_timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            endpoints,
            timeout,
            verbose,
        })
    }

    /// Longest wait for one answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When no address can be reached, none answers in time, or the answer is a problem.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let mut tried = Vec::new();
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let is_last = at + 1 == self.endpoints.len();
            match self.attempt(endpoint, request).await {
                Err(Error::Unreachable { tried: failures }) => tried.extend(failures),
                Err(Error::Refused(problem)) if !is_last && problem.code.is_retryable() => {
                    self.say(|| format!("* {endpoint}: {}; trying the next address", problem.detail));
                }
                outcome => return outcome,
            }
        }
        Err(Error::Unreachable { tried })
    }

    async fn attempt(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, Error> {
        let url = request.url(endpoint);
        self.say(|| format!("> {} {url}", request.method()));
        let started = Instant::now();
        let sent = tokio::time::timeout(self.timeout, request.build(&self.http, &url).send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => {
                let reason = error::root_cause(&error);
                self.say(|| format!("* {endpoint}: {reason}"));
                return Err(Error::Unreachable {
                    tried: vec![(endpoint.to_string(), reason)],
                });
            }
            Ok(Err(error)) if !error.is_timeout() => {
                return Err(Error::Broken {
                    endpoint: endpoint.to_string(),
                    reason: error::root_cause(&error),
                });
            }
            Ok(Err(_)) | Err(_) => {
                return Err(Error::Timeout {
                    endpoint: endpoint.to_string(),
                    after: self.timeout,
                });
            }
        };
        let answer = Answer::new(endpoint.to_string(), self.timeout, response);
        self.say(|| {
            let id = answer.header(api::headers::REQUEST_ID).unwrap_or("none");
            format!("< {} in {:?}, X-Request-Id: {id}", answer.status(), started.elapsed())
        });
        answer.into_success().await
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{}", text());
        }
    }
}
