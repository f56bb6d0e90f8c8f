//! A cluster around auxiliaries: the built-in control store on a scratch disk, and a leader that keeps the ring.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod blobs;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::cache::{BatchFrame, Condition, FrameItem, FrameOp, Lifetime, Packing};
use api::member::{Member, Phase, Role};
use api::{BootId, Epoch, NodeId};
use auxiliary::{Handle, Settings};
use bytes::Bytes;
use cluster::{LEASE_TTL, Leader, Leadership, RingKeeper, RingPolicy, View};
use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use lifecycle::Tasks;
use settings::Secret;
use tempfile::TempDir;
use transport::frames::{Call, FrameClient};
use transport::peer::{Method, PeerClient, PeerError, PeerPolicy, PeerResponse};

pub(crate) const TOKEN: &str = "secret";

/// An auxiliary on threads of its own, which all end at once: a kill, but for what the disk would forget.
pub(crate) struct Mortal {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) registry: telemetry::Registry,
    runtime: Option<tokio::runtime::Runtime>,
    handle: Option<Handle>,
}

impl Mortal {
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
            // They hold the lock of its directories, which a process gives up with its life.
            self.handle = None;
            self.registry = telemetry::new_registry();
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) struct Cluster {
    pub(crate) directory: TempDir,
    pub(crate) store: Arc<dyn ControlStore>,
    pub(crate) view: Arc<View>,
    pub(crate) peers: PeerClient,
    pub(crate) frames: FrameClient,
    tasks: Tasks,
}

impl Cluster {
    /// With one copy of each entry of the cache.
    pub(crate) async fn start() -> Self {
        Self::with_replicas(1).await
    }

    pub(crate) async fn with_replicas(replicas: u32) -> Self {
        let directory = TempDir::new().expect("scratch directory");
        let store = RaftStore::open(RaftOptions::new(directory.path().join("raft"), "m1"))
            .await
            .expect("control store");
        let store: Arc<dyn ControlStore> = store;
        let registry = telemetry::new_registry();
        let (tasks, view) = (Tasks::new(), Arc::new(View::new(Arc::clone(&store), &registry)));
        let peers = PeerClient::new(TOKEN, PeerPolicy::default(), &registry);
        let me = Leader {
            node_id: NodeId::try_new("master-1").expect("valid"),
            boot_id: BootId::new_random(),
            address: "master-1:9000".to_owned(),
            public_address: None,
        };
        let leadership = Arc::new(Leadership::new(Arc::clone(&store), me, LEASE_TTL, &registry));
        let policy = RingPolicy {
            virtual_nodes: 64,
            replicas,
        };
        let interval = Duration::from_millis(100);
        let keeper = RingKeeper::new(
            Arc::clone(&store),
            Arc::clone(&view),
            peers.clone(),
            policy,
            interval,
            &registry,
        );
        let (keeper, leading, seen) = (Arc::new(keeper), leadership.subscribe(), Arc::clone(&view));
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&seen);
            async move { view.run(stop).await }
        });
        tasks.supervise("leadership", move |stop| {
            let leadership = Arc::clone(&leadership);
            async move { leadership.run(stop).await }
        });
        tasks.supervise("keeper", move |stop| {
            let (keeper, leading) = (Arc::clone(&keeper), leading.clone());
            async move { keeper.run(leading, stop).await }
        });
        Self {
            directory,
            store,
            view,
            frames: FrameClient::new(peers.clone()),
            peers,
            tasks,
        }
    }

    pub(crate) fn settings(&self, name: &str) -> Settings {
        Settings {
            node_id: name.to_owned(),
            bind: IpAddr::from([127, 0, 0, 1]),
            port: 0,
            cluster_token: Secret::new(TOKEN),
            blob_dir: self.directory.path().join(name),
            backup_dir: self.directory.path().join(format!("{name}-backups")),
            ..Settings::default()
        }
    }

    /// Starts an auxiliary and waits until it is in the ring.
    pub(crate) async fn auxiliary(&self, name: &str) -> Handle {
        self.auxiliary_with(self.settings(name)).await
    }

    /// Starts an auxiliary with settings of its own and waits until it is in the ring.
    pub(crate) async fn auxiliary_with(&self, settings: Settings) -> Handle {
        let name = settings.node_id.clone();
        let handle = auxiliary::start_with(settings, Arc::clone(&self.store)).await.expect("start");
        self.in_ring(&name, true).await;
        handle
    }

    /// Starts an auxiliary that can be killed.
    pub(crate) async fn mortal(&self, settings: Settings) -> Mortal {
        let name = settings.node_id.clone();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let store = Arc::clone(&self.store);
        let handle = runtime.spawn(async move { auxiliary::start_with(settings, store).await.expect("start") });
        let handle = handle.await.expect("no panic");
        self.in_ring(&name, true).await;
        Mortal {
            id: handle.id().to_string(),
            address: handle.address().to_string(),
            registry: handle.registry().clone(),
            runtime: Some(runtime),
            handle: Some(handle),
        }
    }

    /// Waits until the ring is stable with a node in it, or without; the epoch then.
    pub(crate) async fn in_ring(&self, name: &str, wanted: bool) -> Epoch {
        let is = |snapshot: &Arc<cluster::Snapshot>| {
            let record = snapshot.routing().record();
            let is_in = record.layout.members.iter().any(|member| member.id.as_str() == name);
            is_in == wanted && record.phase == Phase::Stable && record.epoch > Epoch(0)
        };
        let snapshot = tokio::time::timeout(Duration::from_secs(30), self.view.wait_for(is))
            .await
            .expect("the ring changes");
        snapshot.epoch()
    }

    pub(crate) fn member(&self, name: &str) -> Member {
        let id = NodeId::try_new(name).expect("valid");
        self.view.load().member(Role::Auxiliary, &id).expect("registered").clone()
    }

    /// Sends a batch as masters do.
    pub(crate) async fn batch_to(&self, to: &Member, epoch: Epoch, items: Vec<FrameItem<'_>>) -> Result<Bytes, PeerError> {
        let frame = postcard::to_stdvec(&BatchFrame { items }).expect("encodes");
        self.send(to, epoch, frame.into()).await
    }

    /// Sends any bytes as a batch.
    pub(crate) async fn send(&self, to: &Member, epoch: Epoch, frame: Bytes) -> Result<Bytes, PeerError> {
        let call = Call {
            kind: cache::Kind::Batch as u8,
            epoch,
            boot_id: to.boot_id,
        };
        self.frames.call(&to.address, call, frame, Duration::from_secs(30)).await
    }

    /// Sends a batch by the ring as it is, again while the node refuses it: as masters do.
    pub(crate) async fn batch(&self, name: &str, items: Vec<FrameItem<'_>>) -> Bytes {
        for _ in 0..100 {
            match self
                .batch_to(&self.member(name), self.view.load().epoch(), items.clone())
                .await
            {
                Ok(reply) => return reply,
                Err(error) if error.code() == api::ErrorCode::Conflict => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{name} refuses every batch");
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        to: &Handle,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<PeerResponse, PeerError> {
        let request = self.peers.request(method, &to.address().to_string(), path);
        match body {
            Some(body) => request.body("application/octet-stream", body).send().await,
            None => request.send().await,
        }
    }

    pub(crate) async fn stop(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_empty());
    }
}

pub(crate) fn get(key: &str) -> FrameItem<'_> {
    FrameItem {
        namespace: "",
        key,
        op: FrameOp::Get,
        again: false,
    }
}

pub(crate) fn put<'a>(key: &'a str, value: &'a [u8], version: u64) -> FrameItem<'a> {
    let op = FrameOp::Put {
        value,
        content_type: "text/plain",
        packing: Packing::Plain,
        lifetime: Lifetime::default(),
        version,
        condition: Condition::None,
    };
    FrameItem {
        namespace: "",
        key,
        op,
        again: false,
    }
}
