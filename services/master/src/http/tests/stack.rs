//! A master with its auxiliaries.

use std::sync::Arc;
use std::time::Duration;

use api::member::{Layout, Phase, RingMember, RingRecord};
use api::{Epoch, NodeId};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use cluster::{LeaderState, View, keys};
use lifecycle::Tasks;
use serde_json::Value;
use telemetry::new_registry;
use tokio::sync::watch;
use tower::ServiceExt;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::Readiness;

use super::auxiliary::{Auxiliary, Wires};
use super::{Answer, Parts, Store, app, eventually};
use crate::app::App;
use crate::app::cluster::Cluster;
use crate::http;

/// A master whose auxiliaries form a stable ring.
pub(super) struct Stack {
    pub(super) app: Arc<App>,
    pub(super) nodes: Vec<Arc<Auxiliary>>,
    pub(super) wires: Arc<Wires>,
    pub(super) private: Router,
    pub(super) store: Store,
    public: Router,
    view: Arc<View>,
    tasks: Tasks,
    _leadership: watch::Sender<LeaderState>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl Stack {
    /// With so many auxiliaries, and so many copies of each entry.
    pub(super) async fn start(auxiliaries: usize, replicas: u32) -> Self {
        let (store, registry, tasks, wires) = (Store::open().await, new_registry(), Tasks::new(), Arc::<Wires>::default());
        let view = Arc::new(View::new(Arc::clone(&store.store), &registry));
        let mut nodes = Vec::new();
        for at in 1..=auxiliaries {
            nodes.push(Auxiliary::start(at, &view, &wires, tasks.token()).await);
        }
        let (leadership, led) = watch::channel(LeaderState::Following { leader: None });
        let app = app(Parts {
            store: Arc::clone(&store.store),
            cluster: Cluster::Raft(Arc::clone(&store.raft)),
            view: Arc::clone(&view),
            leadership: led,
            peers: PeerClient::new("secret", PeerPolicy::default(), &registry),
            cache_peers: Arc::<Wires>::clone(&wires),
            name: NodeId::try_new("master-1").unwrap(),
            address: "127.0.0.1:1".to_owned(),
            tasks: tasks.clone(),
            registry: registry.clone(),
            result_ttl: Duration::from_secs(60),
            quotas: crate::app::jobs::Quotas::default(),
            datasets: None,
        });
        let (following, listening) = (Arc::clone(&view), Arc::clone(&app.events));
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&following);
            async move { view.run(stop).await }
        });
        tasks.supervise("events", move |stop| Arc::clone(&listening).run(stop));
        let stack = Self {
            public: http::public(Arc::clone(&app), registry.clone(), Readiness::default()),
            private: http::private(Arc::clone(&app), Router::new(), registry, Readiness::default()),
            app,
            nodes,
            wires,
            store,
            view,
            tasks,
            _leadership: leadership,
        };
        for node in &stack.nodes {
            let key = keys::member(node.member.role, &node.member.id);
            stack.put(&key, &serde_json::to_value(&node.member).unwrap()).await;
        }
        let members = stack.nodes.iter().map(|node| node.ring_member()).collect();
        stack.write_ring(1, Phase::Stable, replicas, members, None).await;
        stack
    }

    /// Writes a ring, as a leader would, and waits until all have it.
    pub(super) async fn write_ring(
        &self,
        epoch: u64,
        phase: Phase,
        replicas: u32,
        members: Vec<RingMember>,
        previous: Option<Vec<RingMember>>,
    ) {
        let layout = |members| Layout {
            virtual_nodes: 64,
            replicas,
            members,
        };
        let record = RingRecord {
            epoch: Epoch(epoch),
            phase,
            layout: layout(members),
            previous: previous.map(layout),
        };
        self.put(keys::RING, &serde_json::to_value(&record).unwrap()).await;
        eventually(|| async {
            let registered = self.view.load().members().count() >= self.nodes.len();
            let served = self.nodes.iter().all(|node| node.owner.epoch() >= Epoch(epoch));
            registered && served && self.view.load().epoch() >= Epoch(epoch)
        })
        .await;
    }

    /// All auxiliaries say that their last range sync was for this epoch.
    pub(super) fn have_synced(&self, epoch: u64) {
        for node in &self.nodes {
            node.sync_epoch.store(epoch, std::sync::atomic::Ordering::SeqCst);
        }
    }

    pub(super) async fn put(&self, key: &str, value: &Value) {
        let value = value.to_string().into_bytes();
        self.store.store.put(key, value.into(), None).await.unwrap();
    }

    pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.into()).unwrap()
    }

    pub(super) async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        Answer::of(self.public.clone(), Self::request(method, path, headers, body)).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &[], Body::empty()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub(super) async fn put_value(&self, path: &str, value: &'static str) -> Answer {
        self.ask_with("PUT", path, &[], value).await
    }

    pub(super) async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.ask_with(method, path, &headers, body.to_string()).await
    }

    /// An answer whose body does not end.
    pub(super) async fn stream(&self, path: &str) -> axum::response::Response {
        let request = Self::request("GET", path, &[], Body::empty());
        self.public.clone().oneshot(request).await.unwrap()
    }
}
