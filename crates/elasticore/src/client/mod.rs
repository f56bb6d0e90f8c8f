//! A client of the public HTTP API. Only this module knows the HTTP library.
//!
//! Addresses are tried in order, and the next one only when the request was certainly not executed: it could not be
//! connected to, or answered so. A write whose outcome is unknown is never sent twice.

mod answer;
mod credential;
mod endpoint;
mod error;
mod request;
mod rounds;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use answer::Answer;
pub(crate) use credential::Credential;
pub(crate) use endpoint::{DEFAULT as DEFAULT_ENDPOINT, Endpoint};
pub(crate) use error::Error;
pub(crate) use request::{Request, Upload, segment};
use reqwest::header::AUTHORIZATION;
use tls::ClientConfig;
use tokio::time::error::Elapsed;

use crate::args::GlobalArgs;
use crate::exit::UsageError;

/// Longest wait for a connection to one address, so that the next is tried in good time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls the API.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    credential: Option<Credential>,
    /// For clients of other patience.
    backend: ClientConfig,
    endpoints: Vec<Endpoint>,
    timeout: Duration,
    verbose: bool,
    /// Who answered last; clones share it.
    last: Arc<Mutex<Option<Endpoint>>>,
}

impl Client {
    /// A client as the global flags say.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    pub(crate) fn new(global: &GlobalArgs) -> anyhow::Result<Self> {
        let (credential, backend) = (global.api_key.clone(), backend(global)?);
        Self::with(
            global.endpoints.clone(),
            (credential, backend),
            global.timeout.0,
            global.verbose > 0,
        )
    }

    /// A client of these addresses, which are plain.
    ///
    /// # Errors
    /// When the HTTP library cannot be set up.
    #[cfg(feature = "up")]
    pub(crate) fn of(
        endpoints: Vec<Endpoint>,
        credential: Option<Credential>,
        timeout: Duration,
        verbose: bool,
    ) -> anyhow::Result<Self> {
        let backend = tls::backend_of_plain_clients();
        Self::with(endpoints, (credential, backend), timeout, verbose)
    }

    fn with(
        endpoints: Vec<Endpoint>,
        (credential, backend): (Option<Credential>, ClientConfig),
        timeout: Duration,
        verbose: bool,
    ) -> anyhow::Result<Self> {
        let http = builder(credential.as_ref(), &backend, timeout)
            .read_timeout(timeout)
            .build()?;
        Ok(Self {
            http,
            credential,
            backend,
            endpoints,
            timeout,
            verbose,
            last: Arc::default(),
        })
    }

    /// Longest wait for one answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// All addresses, the one that answered last before the others.
    fn in_turn(&self) -> Vec<Endpoint> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut turn: Vec<Endpoint> = last.into_iter().collect();
        for endpoint in &self.endpoints {
            if !turn.contains(endpoint) {
                turn.push(endpoint.clone());
            }
        }
        turn
    }

    /// Remembers who answered.
    fn answered(&self, endpoint: Endpoint) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
    }

    /// Asks one address once, whatever it answers.
    async fn attempt(&self, endpoint: &Endpoint, url: &str, request: &Request) -> Result<Answer, Error> {
        self.say(|| format!("> {} {url}", request.method()));
        let started = Instant::now();
        let sent = self.exchange(url, request).await;
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
        Ok(answer)
    }

    /// Sends a request and waits for the head of the answer: for as long as the timeout, or, while a file is sent, until nothing of it was
    /// taken for so long.
    async fn exchange(&self, url: &str, request: &Request) -> Result<reqwest::Result<reqwest::Response>, Elapsed> {
        let Some(upload) = request.upload() else {
            return tokio::time::timeout(self.timeout, request.build(&self.http, url).send()).await;
        };
        let patient = builder(self.credential.as_ref(), &self.backend, self.timeout).build();
        let mut sending = match patient {
            Ok(http) => Box::pin(request.build(&http, url).send()),
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let before = upload.sent();
            match tokio::time::timeout(self.timeout, &mut sending).await {
                Err(_) if upload.sent() > before => {}
                outcome => return outcome,
            }
        }
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            eprintln!("{}", text());
        }
    }
}

/// What all requests have in common.
fn builder(credential: Option<&Credential>, backend: &ClientConfig, timeout: Duration) -> reqwest::ClientBuilder {
    let headers = credential.and_then(Credential::header);
    reqwest::Client::builder()
        .user_agent(concat!("elasticore/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers.into_iter().map(|value| (AUTHORIZATION, value)).collect())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_backend_preconfigured(backend.clone())
}

/// Whom the client believes over TLS, and what it shows.
fn backend(global: &GlobalArgs) -> anyhow::Result<ClientConfig> {
    let own = global.cert.as_deref().zip(global.cert_key.as_deref());
    match &global.cacert {
        Some(authorities) => {
            tls::client_of(authorities, own).map_err(|error| UsageError(crate::output::one_line(&error.into())).into())
        }
        None if own.is_some() => Err(UsageError("--cert wants --cacert FILE too (ELASTICORE_CACERT)".to_owned()).into()),
        // As the machine does.
        None if global.endpoints.iter().any(Endpoint::is_encrypted) => Ok(tls::client_of_public_servers()),
        None => Ok(tls::backend_of_plain_clients()),
    }
}
