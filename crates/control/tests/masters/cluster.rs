//! Masters over real sockets on loopback, put together as the real ones are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use control::ControlStore as _;
use control::raft::{BASE, InitialMember, RaftNode, RaftOptions, RaftStore};
use futures::future::join_all;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{HttpMetrics, Layers, bind, serve};

const TOKEN: &str = "token of the cluster";

/// A master: its engine behind its private listener.
pub(crate) struct Master {
    pub(crate) store: Arc<RaftStore>,
    listener: Listener,
}

struct Listener {
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// A cluster, with a directory for each.
pub(crate) struct Cluster {
    pub(crate) initial: Vec<InitialMember>,
    pub(crate) directories: Vec<TempDir>,
    pub(crate) masters: Vec<Option<Master>>,
}

impl Cluster {
    /// So many masters.
    pub(crate) async fn start(size: usize) -> Self {
        let listeners: Vec<TcpListener> = join_all((0..size).map(|_| listen(([127, 0, 0, 1], 0).into()))).await;
        let initial: Vec<InitialMember> = listeners
            .iter()
            .enumerate()
            .map(|(number, listener)| InitialMember {
                name: format!("master-{}", number + 1),
                address: listener.local_addr().unwrap().to_string(),
            })
            .collect();
        let directories: Vec<TempDir> = (0..size).map(|_| tempfile::tempdir().unwrap()).collect();
        let starting = listeners.into_iter().enumerate().map(|(number, listener)| {
            let options = options(&directories[number], &initial, number);
            Master::start(listener, options)
        });
        let masters = join_all(starting).await.into_iter().map(Some).collect();
        Self {
            initial,
            directories,
            masters,
        }
    }

    /// The engine of a master that runs.
    pub(crate) fn store(&self, number: usize) -> Arc<RaftStore> {
        Arc::clone(&self.masters[number].as_ref().expect("it runs").store)
    }

    /// Number of the leader.
    pub(crate) async fn leader(&self) -> usize {
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            for (number, master) in self.masters.iter().enumerate() {
                let Some(master) = master else { continue };
                if master.store.is_raft_leader() && master.store.put("probe", "".into(), None).await.is_ok() {
                    return number;
                }
            }
            assert!(Instant::now() < give_up, "nobody leads");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Number of a master that runs and does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.masters.len())
            .find(|number| *number != leader && self.masters[*number].is_some())
            .expect("there are others")
    }

    /// Stops a master; without a word to the others, when it is killed: its listener is closed first.
    pub(crate) async fn kill(&mut self, number: usize) {
        let master = self.masters[number].take().expect("it runs");
        master.listener.server.abort();
        master.listener.stop.cancel();
        drop(master.store);
    }

    /// Stops a master as SIGTERM does.
    pub(crate) async fn stop(&mut self, number: usize) {
        let master = self.masters[number].take().expect("it runs");
        master.store.shutdown().await.unwrap();
        master.listener.stop.cancel();
        master.listener.server.await.unwrap();
    }

    /// Starts a master again, where it was.
    pub(crate) async fn restart(&mut self, number: usize) {
        let address = self.initial[number].address.parse().unwrap();
        let options = options(&self.directories[number], &self.initial, number);
        self.masters[number] = Some(Master::start(listen(address).await, options).await);
    }
}

impl Master {
    /// The listener answers before the engine runs, since masters wait for one another.
    pub(crate) async fn start(listener: TcpListener, options: RaftOptions) -> Self {
        let client = PeerClient::new(TOKEN, PeerPolicy::default(), &Registry::new());
        let node = prepare(options, client).await;
        let stop = CancellationToken::new();
        let routes = Router::new().nest(BASE, node.router(stop.clone()));
        let layers = Layers::new(HttpMetrics::new(&Registry::new()), Duration::from_secs(30), 32 << 20, 1024);
        let server = tokio::spawn(serve(listener, layers.private(TOKEN).around(routes), stop.clone()));
        Self {
            store: node.start().await.unwrap(),
            listener: Listener { stop, server },
        }
    }
}

/// The one before may still be letting go of the directory.
async fn prepare(options: RaftOptions, client: PeerClient) -> RaftNode {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        match RaftNode::prepare(options.clone(), client.clone()).await {
            Ok(node) => return node,
            Err(error @ control::Error::Unavailable(_)) => assert!(Instant::now() < give_up, "{error}"),
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn options(directory: &TempDir, initial: &[InitialMember], number: usize) -> RaftOptions {
    RaftOptions {
        address: initial[number].address.clone(),
        initial_cluster: initial.to_vec(),
        snapshot_entries: 500,
        ..RaftOptions::new(directory.path(), &initial[number].name)
    }
}

pub(crate) async fn listen(address: SocketAddr) -> TcpListener {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        match bind(address, "INTERNAL_PORT").await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < give_up, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}
