//! Masters alone, each in a network namespace of its own when they are to be parted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::member::Role;
use histories::target::{HttpTarget, Target};
use tempfile::TempDir;

use super::orders::ask;
use crate::network::Network;
use crate::relay::Relay;
use crate::{Etcd, Node, eventually};

/// Time for a cluster to come up, or to be whole again, on a machine that does something else at the same time.
const READY: Duration = Duration::from_secs(60);
/// Clients' patience: less than a master's, so that many outcomes are unknown.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the masters keep what they know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// In themselves.
    Raft,
    /// In an etcd cluster of as many servers as there are masters.
    Etcd,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raft => "raft",
            Self::Etcd => "etcd",
        })
    }
}

/// Several masters.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: those who depend on others first.
    /// Every master that was ever there.
    pub masters: Vec<Node>,
    /// Which of them belong to the cluster.
    pub members: Vec<bool>,
    /// etcd, if any.
    pub etcd: Option<Etcd>,
    /// Each master's own ways to the servers of etcd.
    ways: Vec<Vec<Relay>>,
    /// The network, when masters may be parted.
    pub network: Option<Network>,
    pub(super) token: String,
    directory: TempDir,
}

impl Cluster {
    /// Starts `size` masters and waits until every one of them works.
    ///
    /// # Panics
    /// When they do not come up.
    pub async fn start(engine: Engine, size: usize, apart: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("elasticore-soak-").tempdir();
        let mut cluster = Self {
            masters: Vec::new(),
            members: Vec::new(),
            etcd: match engine {
                Engine::Etcd => Some(Etcd::start(size).await),
                Engine::Raft => None,
            },
            ways: Vec::new(),
            network: apart.then(Network::new),
            token: format!("token-{:016x}", fastrand::u64(..)),
            directory: directory.expect("a temporary directory can be made"),
        };
        for _ in 0..size {
            let node = cluster.node().await;
            cluster.masters.push(node);
            cluster.members.push(true);
        }
        if engine == Engine::Raft {
            let initial = cluster
                .masters
                .iter()
                .map(|master| format!("{}={}", master.name(), master.private_address()));
            let initial = initial.collect::<Vec<_>>().join(",");
            for master in &mut cluster.masters {
                master.set("RAFT_INITIAL_CLUSTER", &initial);
            }
        }
        cluster.masters.iter_mut().for_each(Node::start);
        cluster.whole().await;
        cluster
    }

    /// A master that does not run yet.
    pub(super) async fn node(&mut self) -> Node {
        let mut node = Node::new(Role::Master, self.masters.len() + 1, &self.token, self.directory.path());
        if let Some(network) = &mut self.network {
            node.move_to(&network.add());
        }
        // So that snapshots, and followers that need them, are part of every history.
        node.set("RAFT_SNAPSHOT_ENTRIES", "100");
        if let Some(etcd) = &self.etcd {
            let host = self.network.as_ref().map_or_else(|| "127.0.0.1".to_owned(), Network::host);
            let mut ways = Vec::new();
            for endpoint in etcd.endpoints() {
                ways.push(Relay::start(&host, endpoint).await);
            }
            let endpoints: Vec<_> = ways.iter().map(|way| format!("http://{}", way.address())).collect();
            node.set("CONTROL_STORE", "etcd");
            node.set("ETCD_ENDPOINTS", &endpoints.join(","));
            self.ways.push(ways);
        }
        node
    }

    /// The secret of its nodes.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where all masters keep their data.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Indices of the masters that belong to it.
    pub fn members(&self) -> impl Iterator<Item = usize> {
        (0..self.masters.len()).filter(|index| self.members[*index])
    }

    /// Cuts some masters off from some servers of etcd, both by index: nothing comes through, and no connection breaks.
    pub fn lose_etcd(&self, masters: &[usize], servers: &[usize]) {
        for master in masters {
            servers.iter().for_each(|server| self.ways[*master][*server].cut());
        }
    }

    /// All masters reach all servers of etcd again.
    pub fn reach_etcd(&self) {
        self.ways.iter().flatten().for_each(Relay::join);
    }

    /// Makes whole what was broken, and waits until every member works. Servers of etcd are left alone: whoever breaks one
    /// mends it himself.
    ///
    /// # Panics
    /// When one does not in time.
    pub async fn heal(&mut self) {
        if let Some(network) = &self.network {
            network.join();
        }
        self.reach_etcd();
        for (master, is_member) in self.masters.iter_mut().zip(&self.members) {
            if master.runs() {
                master.resume();
            } else if *is_member {
                master.start();
            }
        }
        self.whole().await;
    }

    async fn whole(&mut self) {
        for (master, is_member) in self.masters.iter_mut().zip(&self.members) {
            if *is_member {
                master.ready(READY).await;
            }
        }
        for index in self.members().collect::<Vec<_>>() {
            let master = &self.masters[index];
            eventually(&format!("a read over {}", master.name()), READY, || async {
                let answer = ask(&master.public(), "/kv/nothing").await?;
                if matches!(answer.status, 200 | 404) {
                    Ok(())
                } else {
                    Err(answer.to_string())
                }
            })
            .await;
        }
    }

    /// Ways for clients, one over each member.
    #[must_use]
    pub fn targets(&self) -> Vec<Arc<dyn Target>> {
        let target = |index: usize| {
            let master = &self.masters[index];
            let base = format!("http://{}", master.public_address());
            Arc::new(HttpTarget::new(master.name(), &base, PATIENCE)) as Arc<dyn Target>
        };
        self.members().map(target).collect()
    }

    /// The master that leads, as far as anybody knows.
    pub async fn leader(&self) -> Option<usize> {
        for index in self.members() {
            if let Ok(answer) = ask(&self.masters[index].public(), "/cluster/status").await
                && answer.status == 200
                && let Some(name) = answer.json()["leader"].as_str()
            {
                return self.members().find(|other| self.masters[*other].name() == name);
            }
        }
        None
    }

    /// Lines of all logs that no run may produce.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        let of = |master: &Node| {
            let (name, log) = (master.name().to_owned(), master.log());
            let wrong = log.lines().filter(|line| line.contains("panicked"));
            wrong.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        };
        self.masters.iter().flat_map(of).collect()
    }

    /// Copies the masters' logs to a directory.
    pub fn keep_logs(&self, directory: &Path, name: &str) {
        for master in &self.masters {
            std::fs::write(directory.join(format!("{name}-{}.log", master.name())), master.log()).ok();
        }
    }
}
