//! Masters on this machine, which can be stopped and started again on their directories.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use api::ErrorCode;
use api::raft::{StoreRole, StoreStatus};
use bytes::Bytes;
use control::conformance::Port;
use futures::future::join_all;
use master::{Handle, Settings};
use serde_json::Value;
use settings::{List, Secret};
use tempfile::TempDir;
use transport::peer::{PeerClient, PeerError, PeerPolicy, PeerRequest};

pub(crate) const TOKEN: &str = "secret";
/// Longest wait for anything; far beyond what any takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// Some masters.
pub(crate) struct Masters {
    pub(crate) peers: PeerClient,
    nodes: BTreeMap<usize, Node>,
    directory: TempDir,
}

struct Node {
    settings: Settings,
    /// Kept while it is stopped: it comes back on them.
    _ports: [Port; 2],
    running: Option<Handle>,
}

impl Masters {
    /// So many that begin a cluster together, not started yet.
    pub(crate) fn of(count: usize) -> Self {
        let mut masters = Self {
            peers: PeerClient::new(TOKEN, PeerPolicy::default(), &telemetry::new_registry()),
            nodes: BTreeMap::new(),
            directory: tempfile::tempdir().unwrap(),
        };
        let ports: Vec<[Port; 2]> = (0..count).map(|_| reserve()).collect();
        let initial = (1..=count).map(|at| format!("master-{at}={}", ports[at - 1][1].address()));
        let initial = List(initial.collect());
        for (at, ports) in (1..=count).zip(ports) {
            masters.place(at, ports, |settings| settings.raft_initial_cluster = initial.clone());
        }
        masters
    }

    /// So many, all started and ready.
    pub(crate) async fn start(count: usize) -> Self {
        let mut masters = Self::of(count);
        masters.start_all(&(1..=count).collect::<Vec<_>>()).await;
        masters
    }

    fn place(&mut self, at: usize, ports: [Port; 2], change: impl FnOnce(&mut Settings)) {
        let [public, private] = [&ports[0], &ports[1]].map(Port::number);
        let mut settings = Settings {
            node_id: format!("master-{at}"),
            bind: [127, 0, 0, 1].into(),
            port: public,
            internal_port: private,
            cluster_token: Secret::new(TOKEN),
            raft_dir: self.directory.path().join(format!("master-{at}")),
            ..Settings::default()
        };
        change(&mut settings);
        let node = Node {
            settings,
            _ports: ports,
            running: None,
        };
        self.nodes.insert(at, node);
    }

    /// One more, which is to join those that are there.
    pub(crate) fn newcomer(&mut self, at: usize) {
        let join = List(self.nodes.values().map(private_address).collect());
        self.place(at, reserve(), |settings| settings.raft_join = join);
    }

    /// Changes the settings of its next life.
    pub(crate) fn change(&mut self, at: usize, change: impl FnOnce(&mut Settings)) {
        change(&mut self.node(at).settings);
    }

    pub(crate) fn settings(&self, at: usize) -> &Settings {
        &self.nodes[&at].settings
    }

    fn node(&mut self, at: usize) -> &mut Node {
        self.nodes.get_mut(&at).unwrap()
    }

    /// Starts these at once, and waits until they are ready.
    pub(crate) async fn start_all(&mut self, which: &[usize]) {
        self.launch(which).await;
        for at in which {
            self.until(&format!("master-{at} to be ready"), async || self.is_ready(*at))
                .await;
        }
    }

    /// Starts these at once, and waits until they have started, ready or not.
    pub(crate) async fn launch(&mut self, which: &[usize]) {
        let starting = which.iter().map(|at| {
            let settings = self.nodes[at].settings.clone();
            async move { (*at, master::start(settings).await.unwrap()) }
        });
        for (at, handle) in tokio::time::timeout(PATIENCE, join_all(starting)).await.expect("they start") {
            self.node(at).running = Some(handle);
        }
    }

    /// Stops some, at once and cleanly.
    pub(crate) async fn stop(&mut self, which: &[usize]) {
        let handles: Vec<Handle> = which.iter().map(|at| self.node(*at).running.take().unwrap()).collect();
        join_all(handles.into_iter().map(Handle::stop)).await;
    }

    /// Throws away what one has on disk.
    pub(crate) fn wipe(&mut self, at: usize) {
        std::fs::remove_dir_all(&self.nodes[&at].settings.raft_dir).unwrap();
    }

    pub(crate) fn directory(&self, at: usize) -> PathBuf {
        self.nodes[&at].settings.raft_dir.clone()
    }

    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn is_ready(&self, at: usize) -> bool {
        self.nodes[&at].running.as_ref().is_some_and(Handle::is_ready)
    }

    pub(crate) fn public(&self, at: usize) -> String {
        format!("127.0.0.1:{}", self.nodes[&at].settings.port)
    }

    pub(crate) fn private(&self, at: usize) -> String {
        private_address(&self.nodes[&at])
    }

    /// Sends once, whatever comes of it.
    pub(crate) async fn send(&self, request: PeerRequest) -> Result<(u16, Value), PeerError> {
        let request = request
            .unguarded()
            .deadline(Duration::from_secs(15))
            .retry(transport::peer::Retry::Never);
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await?;
        let value = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok((status, value))
    }

    pub(crate) async fn get(&self, at: usize, path: &str) -> Result<(u16, Value), PeerError> {
        self.send(self.peers.get(&self.public(at), path)).await
    }

    pub(crate) async fn put(&self, at: usize, path: &str, value: &str) -> Result<(u16, Value), PeerError> {
        self.send(put(&self.peers, &self.public(at), path, value)).await
    }

    pub(crate) async fn post(&self, at: usize, path: &str, body: &Value) -> Result<(u16, Value), PeerError> {
        self.send(self.peers.post(&self.public(at), path).json(body)).await
    }

    pub(crate) async fn delete(&self, at: usize, path: &str) -> Result<(u16, Value), PeerError> {
        self.send(self.peers.request("DELETE".parse().unwrap(), &self.public(at), path))
            .await
    }

    pub(crate) async fn status(&self, at: usize) -> Result<StoreStatus, PeerError> {
        Ok(serde_json::from_value(self.get(at, "/cluster/status").await?.1).unwrap())
    }

    /// Which of these leads the raft protocol, when they agree.
    pub(crate) async fn leader(&self, which: &[usize]) -> usize {
        let mut found = None;
        self.until("a leader that all agree on", async || {
            let statuses = join_all(which.iter().map(|at| self.status(*at))).await;
            let named: Vec<Option<String>> = statuses
                .into_iter()
                .map(|status| status.ok().filter(|status| status.quorum)?.leader)
                .collect();
            named[0].is_some() && named.iter().all(|name| *name == named[0])
        })
        .await;
        for at in which {
            if self
                .status(*at)
                .await
                .is_ok_and(|status| status.leader.as_deref() == Some(&*format!("master-{at}")))
            {
                found = Some(*at);
            }
        }
        found.expect("the leader is one of them")
    }

    /// How many voters and learners one sees.
    pub(crate) async fn roles(&self, at: usize) -> (usize, usize) {
        let members = self.status(at).await.map(|status| status.members).unwrap_or_default();
        let learners = members.iter().filter(|member| member.role == StoreRole::Learner).count();
        (members.len() - learners, learners)
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The code and the words of a refusal.
#[track_caller]
pub(crate) fn refused(outcome: Result<(u16, Value), PeerError>) -> (ErrorCode, String) {
    match outcome {
        Err(PeerError::Answered { problem, .. }) => (problem.code, problem.detail),
        other => panic!("no refusal: {other:?}"),
    }
}

/// A write.
pub(crate) fn put(peers: &PeerClient, address: &str, path: &str, value: &str) -> PeerRequest {
    let request = peers.request("PUT".parse().unwrap(), address, path);
    request.body("text/plain", Bytes::copy_from_slice(value.as_bytes()))
}

/// For the public and the private listener.
fn reserve() -> [Port; 2] {
    [Port::reserve(), Port::reserve()]
}

fn private_address(node: &Node) -> String {
    format!("127.0.0.1:{}", node.settings.internal_port)
}
