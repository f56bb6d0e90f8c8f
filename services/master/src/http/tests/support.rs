//! What all endpoint tests use.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// The control store of a cluster, on disk.
pub(in crate::http) struct Store {
    pub(in crate::http) store: Arc<dyn ControlStore>,
    pub(in crate::http) raft: Arc<RaftStore>,
    _dir: TempDir,
}

impl Store {
    pub(in crate::http) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let raft = RaftStore::open(RaftOptions::new(dir.path(), "m1")).await.unwrap();
        Self {
            store: Arc::clone(&raft) as Arc<dyn ControlStore>,
            raft,
            _dir: dir,
        }
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) body: Vec<u8>,
}

impl Answer {
    pub(in crate::http) async fn of(router: Router, request: Request<Body>) -> Self {
        let response = router.oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        Self { status, headers, body }
    }

    pub(in crate::http) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(in crate::http) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A header's text; empty when it is absent.
    pub(in crate::http) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Itself, when it has this status.
    #[track_caller]
    pub(in crate::http) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Checks that it is a problem, with something in its detail.
    #[track_caller]
    pub(in crate::http) fn problem(self, status: u16, code: &str, said: &str) {
        let problem = self.expect(status).json();
        assert_eq!(problem["code"], code, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail:?} does not say {said:?}");
    }
}

/// Waits for a condition.
pub(in crate::http) async fn eventually<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let patience = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience)
        .await
        .expect("the condition holds in time");
}
