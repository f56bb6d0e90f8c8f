//! Who may do what on masters that want to know who asks.

mod isolation;
mod keys;
mod ports;
mod tokens;

use api::ErrorCode;
use serde_json::{Value, json};
use settings::Secret;
use transport::peer::{HeaderValue, PeerClient, PeerError, PeerPolicy, PeerRequest};

use crate::support::Masters;

pub(super) const ROOT: &str = "the-root-key-of-these-masters-is-long-enough";

/// Masters with authentication on.
pub(super) struct Guarded {
    pub(super) masters: Masters,
    /// Of somebody who is no node: it sends no cluster token.
    stranger: PeerClient,
}

impl Guarded {
    pub(super) async fn start(count: usize, change: impl Fn(&mut master::Settings)) -> Self {
        let mut masters = Masters::of(count);
        for at in 1..=count {
            masters.change(at, |settings| {
                settings.auth = master::Auth::On;
                settings.elasticore_root_key = Secret::new(ROOT);
                change(settings);
            });
        }
        masters.start_all(&(1..=count).collect::<Vec<_>>()).await;
        let stranger = PeerClient::new("", PeerPolicy::default(), &telemetry::new_registry());
        let guarded = Self { masters, stranger };
        for at in 1..=count {
            let knows = async || guarded.ask(at, ROOT, "GET", "/auth/keys", None).await.is_ok();
            guarded.masters.until("the keys to be known", knows).await;
        }
        guarded
    }

    pub(super) fn request(&self, at: usize, key: &str, method: &str, path: &str, body: Option<&Value>) -> PeerRequest {
        let request = self.stranger.request(method.parse().unwrap(), &self.masters.public(at), path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        if key.is_empty() {
            return request;
        }
        request.header("authorization", HeaderValue::from_str(&format!("Bearer {key}")).unwrap())
    }

    pub(super) async fn ask(
        &self,
        at: usize,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), PeerError> {
        self.masters.send(self.request(at, key, method, path, body)).await
    }

    /// The status alone.
    pub(super) async fn status(&self, at: usize, key: &str, method: &str, path: &str) -> u16 {
        code(&self.ask(at, key, method, path, None).await)
    }

    /// Makes a key, and waits until all know it: its id and its text.
    pub(super) async fn key(&self, count: usize, grants: &[&str]) -> (String, String) {
        let body = json!({ "name": "test", "grants": grants });
        let (status, made) = self.ask(1, ROOT, "POST", "/auth/keys", Some(&body)).await.unwrap();
        assert_eq!(status, 201, "{made}");
        let text = made["key"].as_str().unwrap().to_owned();
        for at in 1..=count {
            let knows = async || self.status(at, &text, "GET", "/auth/whoami").await == 200;
            self.masters.until("the key to be known", knows).await;
        }
        (made["id"].as_str().unwrap().to_owned(), text)
    }

    pub(super) async fn stop(mut self, count: usize) {
        self.masters.stop(&(1..=count).collect::<Vec<_>>()).await;
    }
}

/// The status of an answer, of refusals too.
pub(super) fn code(outcome: &Result<(u16, Value), PeerError>) -> u16 {
    match outcome {
        Ok((status, _)) => *status,
        Err(PeerError::Answered { problem, .. }) => problem.status,
        Err(error) => panic!("no answer: {error}"),
    }
}

/// The words of a refusal that says `forbidden`.
#[track_caller]
pub(super) fn forbidden(outcome: Result<(u16, Value), PeerError>) -> String {
    let (code, detail) = crate::support::refused(outcome);
    assert_eq!(code, ErrorCode::Forbidden, "{detail}");
    detail
}
