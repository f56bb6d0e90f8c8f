//! A master's public routes over an engine of the test's choice.

use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cache::net::FramePeers;
use cluster::{LeaderState, View};
use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use futures::StreamExt;
use lifecycle::Tasks;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;
use transport::frames::FrameClient;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::Readiness;

use crate::app::cluster::Cluster;
use crate::http;
use crate::http::tests::{Answer, Parts, app};

/// The engine, for what only one can be asked, and what must live as long.
enum Engine {
    Raft {
        _directory: TempDir,
    },
    #[cfg(feature = "etcd")]
    Etcd(control::conformance::EtcdServer),
}

/// A master without auxiliaries.
pub(in crate::http) struct Side {
    public: Router,
    tasks: Tasks,
    engine: Engine,
    _leadership: watch::Sender<LeaderState>,
}

impl Drop for Side {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl Side {
    pub(in crate::http) async fn raft() -> Self {
        Self::raft_with(|_| {}).await
    }

    /// With other settings.
    pub(in crate::http) async fn raft_with(change: impl FnOnce(&mut RaftOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = RaftOptions::new(directory.path(), "master-1");
        options.history_revisions = 50;
        change(&mut options);
        let store = RaftStore::open(options).await.unwrap();
        let cluster = Cluster::Raft(Arc::clone(&store));
        Self::over(store, cluster, Engine::Raft { _directory: directory })
    }

    #[cfg(feature = "etcd")]
    pub(in crate::http) async fn etcd() -> Self {
        let server = control::conformance::EtcdServer::start(&[]).await;
        let endpoints = [server.endpoint()];
        let store = control::connect_etcd(&endpoints).await.unwrap();
        let cluster = Cluster::Etcd(
            control::EtcdAdmin::connect(&endpoints, &control::EtcdAccess::default())
                .await
                .unwrap(),
        );
        Self::over(store, cluster, Engine::Etcd(server))
    }

    fn over(store: Arc<dyn ControlStore>, cluster: Cluster, engine: Engine) -> Self {
        let (registry, tasks) = (telemetry::new_registry(), Tasks::new());
        let (leadership, led) = watch::channel(LeaderState::Following { leader: None });
        let peers = PeerClient::new("secret", PeerPolicy::default(), &registry);
        let app = app(Parts {
            view: Arc::new(View::new(Arc::clone(&store), &registry)),
            store,
            cluster,
            leadership: led,
            cache_peers: Arc::new(FramePeers(FrameClient::new(peers.clone()))),
            peers,
            name: NodeId::try_new("master-1").unwrap(),
            address: "127.0.0.1:1".to_owned(),
            tasks: tasks.clone(),
            registry: registry.clone(),
            result_ttl: Duration::from_secs(60),
            quotas: crate::app::jobs::Quotas::default(),
            datasets: None,
        });
        Self {
            public: http::public(app, registry, Readiness::default()),
            tasks,
            engine,
            _leadership: leadership,
        }
    }

    pub(in crate::http) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        Answer::of(self.public.clone(), request(method, path, headers, body)).await
    }

    pub(in crate::http) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &[], Body::empty()).await
    }

    pub(in crate::http) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub(in crate::http) async fn put(&self, path: &str, value: impl Into<Body>) -> Answer {
        self.ask_with("PUT", path, &[], value).await
    }

    pub(in crate::http) async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(method, path, &[("content-type", "application/json")], body.to_string())
            .await
    }

    /// A stream of events.
    pub(in crate::http) async fn watch(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        let response = self
            .public
            .clone()
            .oneshot(request("GET", path, headers, Body::empty()))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body().into_data_stream().boxed(),
            text: String::new(),
        }
    }

    /// Forgets the history before a revision; the built-in engine does so by itself, after 50 revisions.
    pub(in crate::http) async fn compact(&self, before: u64) {
        match &self.engine {
            Engine::Raft { .. } => {
                for i in 0..60 {
                    self.put("/kv/filler", i.to_string()).await;
                }
            }
            #[cfg(feature = "etcd")]
            Engine::Etcd(server) => compact(&server.endpoint(), before).await,
        }
        #[cfg(not(feature = "etcd"))]
        let _ = before;
    }
}

/// Asks etcd's own gateway.
#[cfg(feature = "etcd")]
async fn compact(endpoint: &str, before: u64) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let body = serde_json::json!({ "revision": before.to_string(), "physical": true }).to_string();
    let head = format!("POST /v3/kv/compaction HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(endpoint).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("200 OK"), "{answer}");
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// Server-sent events as they come.
pub(in crate::http) struct Events {
    body: futures::stream::BoxStream<'static, Result<axum::body::Bytes, axum::Error>>,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Told {
    pub(in crate::http) name: String,
    pub(in crate::http) id: String,
    pub(in crate::http) data: Value,
}

impl Events {
    /// The next one; none at the end of the stream.
    pub(in crate::http) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if !block.starts_with(':') {
                    return Some(Told::parse(&block));
                }
                continue;
            }
            let piece = tokio::time::timeout(Duration::from_secs(20), self.body.next()).await;
            let piece = piece.expect("an event comes in time")?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next few.
    pub(in crate::http) async fn take(&mut self, count: usize) -> Vec<Told> {
        let mut told = Vec::new();
        while told.len() < count {
            told.push(self.next().await.expect("the stream goes on"));
        }
        told
    }
}

impl Told {
    fn parse(block: &str) -> Self {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim_start().to_owned()
        };
        Self {
            name: field("event"),
            id: field("id"),
            data: serde_json::from_str(&field("data")).unwrap(),
        }
    }

    /// Its name and the key it is about.
    pub(in crate::http) fn change(&self) -> (&str, &str) {
        (&self.name, self.data["key"].as_str().unwrap_or_default())
    }
}
