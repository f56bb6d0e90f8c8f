//! A master with auxiliaries, all in this process.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::member::{Phase, Role};
use api::{BootId, NodeId};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use blobs::{BlobStore, Replicated};
use cache::net::FramePeers;
use cluster::{LEASE_TTL, Leader, LeaderState, Leadership, RingKeeper, RingPolicy, View};
use futures::TryStreamExt;
use lifecycle::Tasks;
use telemetry::{Registry, new_registry};
use tempfile::TempDir;
use tokio::sync::watch;
use transport::frames::FrameClient;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::Readiness;

use crate::app::App;
use crate::app::cluster::Cluster;
use crate::app::jobs::Quotas;
use crate::http;
pub(super) use crate::http::tests::{Answer, eventually};
use crate::http::tests::{Parts, Store, app};

pub(super) struct Stack {
    pub(super) app: Arc<App>,
    pub(super) public: Router,
    pub(super) store: Store,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) leading: watch::Receiver<LeaderState>,
    pub(super) registry: Registry,
    pub(super) directory: TempDir,
    pub(super) tasks: Tasks,
    _auxiliaries: Vec<auxiliary::Handle>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

impl Stack {
    pub(super) async fn start() -> Self {
        Self::with_room(0).await
    }

    /// With auxiliaries that have room for so many bytes of blobs.
    pub(super) async fn with_room(bytes: u64) -> Self {
        let (store, registry, tasks) = (Store::open().await, new_registry(), Tasks::new());
        let directory = tempfile::tempdir().unwrap();
        let peers = PeerClient::new("secret", PeerPolicy::default(), &registry);
        let view = Arc::new(View::new(Arc::clone(&store.store), &registry));
        let me = Leader {
            node_id: NodeId::try_new("master-1").unwrap(),
            boot_id: BootId::new_random(),
            address: "127.0.0.1:1".to_owned(),
            public_address: None,
        };
        let leadership = Arc::new(Leadership::new(Arc::clone(&store.store), me.clone(), LEASE_TTL, &registry));
        let leading = leadership.subscribe();
        let policy = RingPolicy {
            virtual_nodes: 64,
            replicas: 2,
        };
        let keeper = RingKeeper::new(
            Arc::clone(&store.store),
            Arc::clone(&view),
            peers.clone(),
            policy,
            Duration::from_millis(100),
            &registry,
        );
        let (following, keeper, led) = (Arc::clone(&view), Arc::new(keeper), leading.clone());
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&following);
            async move { view.run(stop).await }
        });
        tasks.supervise("leadership", move |stop| {
            let leadership = Arc::clone(&leadership);
            async move { leadership.run(stop).await }
        });
        tasks.supervise("keeper", move |stop| {
            let (keeper, led) = (Arc::clone(&keeper), led.clone());
            async move { keeper.run(led, stop).await }
        });
        let mut auxiliaries = Vec::new();
        for name in ["a", "b"] {
            let settings = auxiliary::Settings {
                node_id: name.to_owned(),
                bind: IpAddr::from([127, 0, 0, 1]),
                port: 0,
                cluster_token: settings::Secret::new("secret"),
                blob_dir: directory.path().join(name),
                blob_max_bytes: settings::ByteSize(bytes),
                blob_min_free: settings::ByteSize(0),
                backup_dir: directory.path().join(format!("{name}-backups")),
                ..auxiliary::Settings::default()
            };
            auxiliaries.push(auxiliary::start_with(settings, Arc::clone(&store.store)).await.unwrap());
        }
        view.wait_for(|snapshot| {
            let record = snapshot.routing().record();
            let registered = snapshot.with_role(Role::Auxiliary).count();
            registered == 2 && record.layout.members.len() == 2 && record.phase == Phase::Stable
        })
        .await;
        let app = app(Parts {
            store: Arc::clone(&store.store),
            cluster: Cluster::Raft(Arc::clone(&store.raft)),
            view: Arc::clone(&view),
            leadership: leading.clone(),
            cache_peers: Arc::new(FramePeers(FrameClient::new(peers.clone()))),
            peers: peers.clone(),
            name: me.node_id,
            address: me.address,
            tasks: tasks.clone(),
            registry: registry.clone(),
            result_ttl: Duration::from_secs(60),
            quotas: Quotas {
                queued_jobs: 10,
                running_jobs: 10,
                stored_jobs: 10,
                stored_bytes: 1 << 20,
                ..Quotas::default()
            },
            datasets: None,
        });
        Self {
            public: http::public(Arc::clone(&app), registry.clone(), Readiness::default()),
            app,
            store,
            blobs: Arc::new(Replicated::new(peers, view)),
            leading,
            registry,
            directory,
            tasks,
            _auxiliaries: auxiliaries,
        }
    }

    pub(super) async fn ask_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(self.public.clone(), request.body(body.into()).unwrap()).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &[], Body::empty()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub(super) async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask_with("PUT", path, &[], body).await
    }

    /// Names of all blobs.
    pub(super) async fn blobs(&self) -> Vec<String> {
        self.blobs.list("").map_ok(|info| info.name).try_collect().await.unwrap()
    }
}
