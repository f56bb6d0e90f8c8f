//! An auxiliary in this process: a real owner, and a private listener for what masters ask in JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use api::member::{Member, RingMember, Role};
use api::{BootId, Epoch, NodeId};
use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cache::net::ViewRings;
use cache::owner::{Call, Identity, Options, Owner};
use cache::{CallError, Clock, Kind, Peers, Skew};
use cluster::View;
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::cache::{Bounds, Cache, Policy};
use telemetry::new_registry;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;

/// The way from node to node: straight to the owner that is meant.
#[derive(Debug, Default)]
pub(super) struct Wires {
    owners: Mutex<BTreeMap<BootId, Arc<Owner>>>,
    cut: AtomicBool,
}

impl Wires {
    /// Nobody is reached from now on, or again.
    pub(super) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

#[async_trait]
impl Peers for Wires {
    async fn call(&self, to: &cluster::Owner, kind: Kind, epoch: Epoch, body: Bytes, _: Duration) -> Result<Bytes, CallError> {
        let owner = self.owners.lock().get(&to.boot_id).cloned();
        let Some(owner) = owner.filter(|_| !self.cut.load(Ordering::SeqCst)) else {
            return Err(CallError::NotExecuted("the wire is cut".to_owned()));
        };
        let call = Call {
            kind,
            boot_id: to.boot_id,
            epoch,
            skew: Skew::default(),
        };
        let refused = |error: cache::owner::Refused| CallError::Refused(error.to_string());
        owner.answer(call, body).await.map_err(refused)
    }
}

/// One auxiliary.
pub(super) struct Auxiliary {
    pub(super) member: Member,
    pub(super) owner: Arc<Owner>,
    /// Every call of the private listener but for status: its path and body.
    pub(super) asked: Mutex<Vec<(String, Value)>>,
    /// Answers every call with 503.
    pub(super) fails: AtomicBool,
    /// Backups it says it has.
    pub(super) backups: Mutex<Vec<Value>>,
    /// Epoch of the last range sync it says it did.
    pub(super) sync_epoch: AtomicU64,
    /// Lines of its stream of events.
    pub(super) lines: broadcast::Sender<String>,
}

impl Auxiliary {
    pub(super) async fn start(at: usize, view: &Arc<View>, wires: &Arc<Wires>, stop: &CancellationToken) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let member = Member {
            id: NodeId::try_new(format!("auxiliary-{at}")).unwrap(),
            role: Role::Auxiliary,
            boot_id: BootId::new_random(),
            address: listener.local_addr().unwrap().to_string(),
            public_address: None,
            zone: None,
            weight: 1,
            started_at_ms: 0,
            version: "0".to_owned(),
        };
        let store = Cache::new(Bounds {
            entries: 10_000,
            bytes: 64 << 20,
            policy: Policy::default(),
        });
        let me = Identity {
            id: member.id.clone(),
            boot_id: member.boot_id,
        };
        let peers = Arc::<Wires>::clone(wires);
        let rings = Arc::new(ViewRings(Arc::clone(view)));
        let owner = Owner::new(
            me,
            Arc::new(store),
            peers,
            rings,
            Clock::default(),
            Options::default(),
            &new_registry(),
        );
        wires.owners.lock().insert(member.boot_id, Arc::clone(&owner));
        let auxiliary = Arc::new(Self {
            member,
            owner: Arc::clone(&owner),
            asked: Mutex::default(),
            fails: AtomicBool::new(false),
            backups: Mutex::default(),
            sync_epoch: AtomicU64::new(0),
            lines: broadcast::Sender::new(64),
        });
        let router = routes(Arc::clone(&auxiliary));
        let (following, serving) = (stop.clone(), stop.clone());
        tokio::spawn(async move { owner.follow(following).await });
        tokio::spawn(async move { transport::server::serve(listener, router, serving).await });
        auxiliary
    }

    pub(super) fn ring_member(&self) -> RingMember {
        RingMember {
            id: self.member.id.clone(),
            boot_id: self.member.boot_id,
            weight: 1,
            zone: None,
            lost: false,
        }
    }

    /// Bodies of the calls of a path.
    pub(super) fn asked(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock();
        let of_path = asked.iter().filter(|(asked, _)| asked == path);
        of_path.map(|(_, body)| body.clone()).collect()
    }

    pub(super) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn backup(&self, id: &str) -> Value {
        json!({ "id": id, "node": self.member.id, "made_at_ms": 1000, "entries": 3, "bytes": 100 })
    }

    pub(super) fn has_backup(&self, id: &str) {
        self.backups.lock().insert(0, self.backup(id));
    }
}

type Shared = State<Arc<Auxiliary>>;

fn routes(auxiliary: Arc<Auxiliary>) -> Router {
    let prefix = "/internal/v1/cache";
    Router::new()
        .route(&format!("{prefix}/status"), get(status))
        .route(&format!("{prefix}/namespaces"), get(namespaces))
        .route(&format!("{prefix}/delete_prefix"), post(delete_prefix))
        .route(&format!("{prefix}/clear"), post(clear))
        .route(&format!("{prefix}/backup"), post(backup))
        .route(&format!("{prefix}/backups"), get(backups))
        .route(&format!("{prefix}/restore"), post(restore))
        .route(&format!("{prefix}/events"), get(events))
        .layer(from_fn_with_state(Arc::clone(&auxiliary), note))
        .with_state(auxiliary)
}

/// Notes what is asked, and fails if it is to.
async fn note(State(auxiliary): Shared, request: Request, next: Next) -> Response {
    if auxiliary.fails.load(Ordering::SeqCst) {
        return transport::ApiError::unavailable("no space left on this device").into_response();
    }
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path().trim_start_matches("/internal/v1/cache/").to_owned();
    if path != "status" {
        let value = serde_json::from_slice(&body).unwrap_or_default();
        auxiliary.asked.lock().push((path, value));
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

async fn status(State(auxiliary): Shared) -> Json<Value> {
    let stats = auxiliary.owner.store().stats();
    Json(json!({
        "boot_id": auxiliary.member.boot_id,
        "epoch": auxiliary.owner.epoch(),
        "synced": true,
        "entries": stats.entries,
        "bytes": stats.bytes,
        "sync": { "epoch": auxiliary.sync_epoch.load(Ordering::SeqCst), "buckets_done": 3, "buckets": 4, "entries": 5, "bytes": 6, "dropped": 0, "started_at_ms": 1 },
        "unreachable": [],
    }))
}

async fn namespaces(State(auxiliary): Shared) -> Json<Vec<Value>> {
    let used = auxiliary.owner.store().namespaces().into_iter();
    let used = used.map(|(name, stats)| {
        json!({ "namespace": name, "entries": stats.entries, "bytes": stats.bytes,
            "hits": stats.hits, "misses": stats.misses, "evictions": stats.evictions })
    });
    Json(used.collect())
}

async fn delete_prefix(State(auxiliary): Shared, Json(asked): Json<Value>) -> Json<Value> {
    let text = |name: &str| asked[name].as_str().unwrap().to_owned();
    let version = asked["version"].as_u64().unwrap();
    let deleted = auxiliary
        .owner
        .delete_prefix(&text("namespace"), &text("prefix"), version)
        .await;
    Json(json!({ "deleted": deleted.unwrap() }))
}

async fn clear(State(auxiliary): Shared, Json(asked): Json<Value>) -> Json<Value> {
    let deleted = auxiliary.owner.store().clear(asked["older_than"].as_u64().unwrap());
    Json(json!({ "deleted": deleted }))
}

async fn backup(State(auxiliary): Shared, Json(asked): Json<Value>) -> Json<Value> {
    let id = asked["id"].as_str().unwrap();
    auxiliary.has_backup(id);
    Json(auxiliary.backup(id))
}

async fn backups(State(auxiliary): Shared) -> Json<Vec<Value>> {
    Json(auxiliary.backups.lock().clone())
}

async fn restore(State(auxiliary): Shared, Json(asked): Json<Value>) -> Result<Json<Value>, StatusCode> {
    let backups = auxiliary.backups.lock();
    let found = match asked["id"].as_str() {
        Some(id) => backups.iter().find(|backup| backup["id"] == id),
        None => backups.first(),
    };
    found.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn events(State(auxiliary): Shared) -> Response {
    use futures::StreamExt;
    let lines = BroadcastStream::new(auxiliary.lines.subscribe());
    let until_end = lines.take_while(|line| std::future::ready(line.as_ref().is_ok_and(|line| line != "end")));
    Body::from_stream(until_end.map(|line| line.map(|line| line + "\n"))).into_response()
}
