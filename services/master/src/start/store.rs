//! Opens the control store that the settings name.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use control::raft::{RaftNode, RaftOptions, RaftStore};
use control::{ControlStore, EtcdAccess, EtcdAdmin};
use lifecycle::CancellationToken;
use telemetry::Registry;
use tokio::sync::watch;
use transport::peer::PeerClient;
use transport::server::Readiness;

use super::doors::Doors;
use crate::app::cluster::Cluster;
use crate::{ControlEngine, Settings};

/// Longest wait for etcd when the master starts.
const ETCD_WAIT: Duration = Duration::from_secs(30);

/// The control store, and what only the built-in engine has.
pub(super) struct Opened {
    pub(super) engine: Arc<dyn ControlStore>,
    pub(super) cluster: Cluster,
    pub(super) raft: Option<Arc<RaftStore>>,
    /// What other masters ask of this one's engine, on the private listener.
    pub(super) routes: Router,
}

/// Opens it. Masters of the built-in engine wait here until all of them are found, as long as it takes, while the private
/// listener lets the others find this one.
pub(super) async fn open(
    settings: &Settings,
    (address, peers): (&str, &PeerClient),
    etcd: &EtcdAccess,
    doors: &Doors,
    (registry, readiness): (&Registry, &Readiness),
    stop: &CancellationToken,
) -> anyhow::Result<Opened> {
    match settings.control_store {
        ControlEngine::Raft => {
            let node = RaftNode::prepare(options(settings, address, registry)?, peers.clone());
            let node = node.await.map_err(told)?;
            let routes = Router::new().nest(control::raft::BASE, node.router(stop.clone()));
            doors.begin(routes.clone());
            let waiting = node.waiting();
            let store = tokio::select! {
                started = node.start() => started.map_err(told)?,
                () = tell(waiting, readiness) => unreachable!("it tells until it is dropped"),
            };
            readiness.not_ready("starting");
            Ok(Opened {
                engine: Arc::clone(&store) as Arc<dyn ControlStore>,
                cluster: Cluster::Raft(Arc::clone(&store)),
                routes,
                raft: Some(store),
            })
        }
        ControlEngine::Etcd => {
            let endpoints = &settings.etcd_endpoints.0;
            let opened = tokio::time::timeout(ETCD_WAIT, control::connect_etcd_as(endpoints, etcd)).await;
            let engine = opened.unwrap_or_else(|_| {
                let (all, one) = (endpoints.join(", "), endpoints.first().map_or("", String::as_str));
                let hint = format!("is it running? Ask: etcdctl --endpoints {one} endpoint health");
                Err(control::Error::Unavailable(format!(
                    "no etcd at {all} (ETCD_ENDPOINTS) within {ETCD_WAIT:?}; {hint}"
                )))
            });
            let engine = engine.map_err(told)?;
            Ok(Opened {
                engine,
                cluster: Cluster::Etcd(EtcdAdmin::connect(endpoints, etcd).await?),
                raft: None,
                routes: Router::new(),
            })
        }
    }
}

/// A reason not to start, without what the store calls it: that is about requests, and there is none yet.
fn told(error: control::Error) -> anyhow::Error {
    match error {
        control::Error::Invalid(reason) | control::Error::Unavailable(reason) => anyhow::anyhow!(reason),
        other => other.into(),
    }
}

/// Says on `/ready` what a start waits for.
async fn tell(mut waiting: watch::Receiver<Option<String>>, readiness: &Readiness) {
    loop {
        let reason = waiting.borrow_and_update().clone();
        if let Some(reason) = reason {
            readiness.not_ready(format!("the control store waits: {reason}"));
        }
        if waiting.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn options(settings: &Settings, address: &str, registry: &Registry) -> anyhow::Result<RaftOptions> {
    let mut options = RaftOptions::new(&settings.raft_dir, &settings.node_id);
    address.clone_into(&mut options.address);
    options.initial_cluster = settings.initial_cluster()?;
    options.join.clone_from(&settings.raft_join.0);
    options.kv_quota_bytes = settings.raft_kv_quota.0;
    options.history_revisions = settings.raft_history_revisions;
    options.snapshot_entries = settings.raft_snapshot_entries;
    options.registry = Some(registry.clone());
    Ok(options)
}
