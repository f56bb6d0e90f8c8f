//! Masters over one control store, asked through their routers.

use std::sync::Arc;
use std::time::Duration;

use api::{BootId, NodeId};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use cache::net::FramePeers;
use cluster::{LEASE_TTL, Leader, Leadership, View};
use lifecycle::{CancellationToken, Tasks};
use serde_json::{Value, json};
use telemetry::new_registry;
use transport::frames::FrameClient;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{Readiness, serve};

use crate::app::cluster::Cluster;
use crate::app::jobs::Quotas;
use crate::http;
pub(super) use crate::http::tests::{Answer, Store, eventually};
use crate::http::tests::{JobDatasets, Parts, app};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a master is told of jobs.
pub(super) struct Rules {
    pub(super) result_ttl: Duration,
    pub(super) quotas: Quotas,
    pub(super) datasets: Option<Arc<dyn JobDatasets>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            result_ttl: DAY,
            quotas: Quotas::default(),
            datasets: None,
        }
    }
}

/// A master without listeners, but for the private one of [`Master::listen`].
pub(super) struct Master {
    pub(super) public: Router,
    pub(super) private: Router,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Master {
    /// The only master, which leads.
    pub(super) async fn leading(store: &Store) -> Self {
        let master = Self::start(store, "master-1", DAY).await;
        master.leads().await;
        master
    }

    /// A master that campaigns for leadership.
    pub(super) async fn start(store: &Store, name: &str, result_ttl: Duration) -> Self {
        let rules = Rules {
            result_ttl,
            ..Rules::default()
        };
        Self::start_with(store, name, rules).await
    }

    /// The same, with rules of its own.
    pub(super) async fn start_with(store: &Store, name: &str, rules: Rules) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (registry, tasks) = (new_registry(), Tasks::new());
        let me = Leader {
            node_id: NodeId::try_new(name).unwrap(),
            boot_id: BootId::new_random(),
            address: listener.local_addr().unwrap().to_string(),
            public_address: None,
        };
        let peers = PeerClient::new("secret", PeerPolicy::default(), &registry);
        let view = Arc::new(View::new(Arc::clone(&store.store), &registry));
        let leadership = Arc::new(Leadership::new(Arc::clone(&store.store), me.clone(), LEASE_TTL, &registry));
        let stop = tasks.token().clone();
        let app = app(Parts {
            store: Arc::clone(&store.store),
            cluster: Cluster::Raft(Arc::clone(&store.raft)),
            view,
            leadership: leadership.subscribe(),
            cache_peers: Arc::new(FramePeers(FrameClient::new(peers.clone()))),
            peers,
            name: me.node_id.clone(),
            address: me.address.clone(),
            tasks,
            registry: registry.clone(),
            result_ttl: rules.result_ttl,
            quotas: rules.quotas,
            datasets: rules.datasets,
        });
        let public = http::public(Arc::clone(&app), registry.clone(), Readiness::default());
        let private = http::private(Arc::clone(&app), Router::new(), registry, Readiness::default());
        let (candidate, working, served) = (Arc::clone(&leadership), Arc::clone(&app), private.clone());
        let (campaign, work, listen) = (stop.clone(), stop.clone(), stop.clone());
        let running = tokio::spawn(async move {
            tokio::join!(
                candidate.run(campaign),
                working.jobs.run(work),
                serve(listener, served, listen)
            );
        });
        Self {
            public,
            private,
            stop,
            running,
        }
    }

    /// Waits until this master schedules.
    pub(super) async fn leads(&self) {
        let path = "/internal/v1/jobs/00000000-0000-7000-8000-000000000000/stages/0";
        let ask = || Request::get(path).body(Body::empty()).unwrap();
        eventually(|| async { Answer::of(self.private.clone(), ask()).await.status == StatusCode::NOT_FOUND }).await;
    }

    /// Tells everything in it to stop.
    pub(super) fn interrupt(&self) {
        self.stop.cancel();
    }

    /// Stops scheduling and gives the lease back.
    pub(super) async fn stop(self) {
        self.interrupt();
        self.running.await.unwrap();
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    pub(super) async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        Answer::of(self.public.clone(), request.body(body).unwrap()).await
    }

    /// Submits `select 1` with changes and returns the job's id.
    pub(super) async fn submit(&self, changes: Value) -> String {
        let answer = self.ask("POST", "/jobs", Some(job(changes))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a job is in a state, and returns it.
    pub(super) async fn until(&self, id: &str, state: &str) -> Value {
        let path = format!("/jobs/{id}");
        eventually(|| async { self.ask("GET", &path, None).await.json()["state"] == state }).await;
        self.ask("GET", &path, None).await.json()
    }
}

pub(super) fn job(changes: Value) -> Value {
    let mut job = json!({ "query": "select 1" });
    for (key, value) in changes.as_object().unwrap() {
        job[key] = value.clone();
    }
    job
}
