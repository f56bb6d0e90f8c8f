//! Private listeners of masters, in this process, as the real ones are put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use control::ControlStore;
use control::raft::{RaftOptions, RaftStore};
use control::remote::RemoteStore;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{HttpMetrics, Layers, bind, serve};

pub(crate) const TOKEN: &str = "token of the cluster";

/// A master's listener over a store; what it answers ends with it.
pub(crate) struct Master {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Master {
    pub(crate) async fn start(store: Arc<dyn ControlStore>) -> Self {
        Self::start_at(store, ([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn start_at(store: Arc<dyn ControlStore>, address: SocketAddr) -> Self {
        let stop = CancellationToken::new();
        let control = control::server::router_until(store, stop.clone());
        let router = Router::new().nest("/internal/v1/control", control);
        let layers = Layers::new(HttpMetrics::new(&Registry::new()), Duration::from_secs(30), 32 << 20, 1024);
        let listener = bind(address, "INTERNAL_PORT").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, layers.private(TOKEN).around(router), stop.clone()));
        Self { address, stop, server }
    }

    /// Stops it as SIGTERM does; returns when nobody is served any more.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}

pub(crate) async fn raft() -> (Arc<dyn ControlStore>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = RaftStore::open(RaftOptions::new(directory.path(), "m1")).await.unwrap();
    (store, directory)
}

pub(crate) fn client(token: &str) -> PeerClient {
    PeerClient::new(token, PeerPolicy::default(), &Registry::new())
}

pub(crate) fn remote(masters: &[&Master]) -> Arc<dyn ControlStore> {
    let addresses = masters.iter().map(|master| master.address.to_string()).collect();
    Arc::new(RemoteStore::new(client(TOKEN), addresses).unwrap())
}
