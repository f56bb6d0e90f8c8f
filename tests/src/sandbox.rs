//! A whole stack.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::member::Role;
use tempfile::TempDir;

use crate::network::Network;
use crate::relay::Relay;
use crate::{Api, Builder, Certificates, Etcd, Nginx, Node, eventually};

/// Time for a part of the stack to be able to work, on a machine that builds something else at the same time.
const READY: Duration = Duration::from_secs(60);

/// Set: what the nodes wrote, their logs above all, outlives the test.
const KEEP: &str = "ELASTICORE_KEEP";

/// A running stack. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    // Dropped in this order: those who depend on others first.
    /// The workers.
    pub workers: Vec<Node>,
    /// The auxiliaries.
    pub auxiliaries: Vec<Node>,
    /// The front door, if any.
    pub nginx: Option<Nginx>,
    /// The masters.
    pub masters: Vec<Node>,
    /// etcd, if any.
    pub etcd: Option<Etcd>,
    /// Ways to etcd for nodes in namespaces.
    relays: Vec<Relay>,
    /// The network of the nodes' own, if any.
    pub network: Option<Network>,
    /// Who signs the certificates of an encrypted stack.
    pub certificates: Option<Certificates>,
    /// The cluster's secret.
    pub token: String,
    /// The only directory jobs may read.
    pub data: PathBuf,
    settings: Vec<(Role, String, String)>,
    directory: TempDir,
}

impl Sandbox {
    /// One master with the built-in engine, three auxiliaries, two workers.
    #[must_use]
    pub const fn raft() -> Builder {
        Builder {
            masters: 1,
            auxiliaries: 3,
            workers: 2,
            etcd: None,
            nginx: false,
            apart: false,
            encrypted: false,
            settings: Vec::new(),
        }
    }

    /// Three masters on so many etcd servers, three auxiliaries, two workers, and NGINX before it all.
    #[must_use]
    pub const fn etcd(servers: usize) -> Builder {
        Builder {
            masters: 3,
            auxiliaries: 3,
            workers: 2,
            etcd: Some(servers),
            nginx: true,
            apart: false,
            encrypted: false,
            settings: Vec::new(),
        }
    }

    /// Starts everything that `builder` asks for.
    pub(crate) async fn build(builder: Builder) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("elasticore-test-")
            .disable_cleanup(std::env::var_os(KEEP).is_some())
            .tempdir()
            .expect("a temporary directory can be made");
        // NGINX's workers give up root and must still reach their own files in it.
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("we own it");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("the directory can be written");
        let etcd = match builder.etcd {
            Some(servers) => Some(Etcd::start(servers).await),
            None => None,
        };
        let mut sandbox = Self {
            masters: Vec::new(),
            auxiliaries: Vec::new(),
            workers: Vec::new(),
            etcd,
            relays: Vec::new(),
            network: builder.apart.then(Network::new),
            certificates: builder.encrypted.then(|| Certificates::new(&directory.path().join("certs"))),
            nginx: None,
            token: format!("token-{:016x}", fastrand::u64(..)),
            data,
            settings: builder.settings.clone(),
            directory,
        };
        sandbox.start(&builder).await;
        sandbox
    }

    async fn start(&mut self, builder: &Builder) {
        if let (Some(etcd), Some(network)) = (&self.etcd, &self.network) {
            for endpoint in etcd.endpoints() {
                self.relays.push(Relay::start(&network.host(), endpoint).await);
            }
        }
        self.masters = (1..=builder.masters).map(|number| self.node(Role::Master, number)).collect();
        self.auxiliaries = (1..=builder.auxiliaries)
            .map(|number| self.node(Role::Auxiliary, number))
            .collect();
        self.workers = (1..=builder.workers).map(|number| self.node(Role::Worker, number)).collect();
        if self.etcd.is_none() && builder.masters > 1 {
            let all = self
                .masters
                .iter()
                .map(|master| format!("{}={}", master.name(), master.private_address()));
            let all = all.collect::<Vec<_>>().join(",");
            self.masters
                .iter_mut()
                .for_each(|master| master.set("RAFT_INITIAL_CLUSTER", &all));
        }
        self.masters.iter_mut().for_each(Node::start);
        for master in &mut self.masters {
            master.ready(READY).await;
        }
        if builder.nginx {
            let masters: Vec<_> = self.masters.iter().map(Node::public_address).collect();
            let place = self.network.as_mut().map(Network::add);
            let (certificates, directory) = (self.certificates.as_ref(), self.directory.path());
            self.nginx = Some(Nginx::start_in(place.as_ref(), certificates, &masters, directory).await);
        }
        let door = self.address();
        for node in self.auxiliaries.iter_mut().chain(&mut self.workers) {
            node.set("MASTER_ADDRESS", &door);
            node.start();
        }
        for node in self.auxiliaries.iter_mut().chain(&mut self.workers) {
            node.ready(READY).await;
        }
        self.ring_of(&(0..self.auxiliaries.len()).collect::<Vec<_>>(), READY).await;
    }

    /// A node with all its settings but the door, which does not run yet.
    fn node(&mut self, role: Role, number: usize) -> Node {
        let mut node = Node::new(role, number, &self.token, self.directory.path());
        if let Some(network) = &mut self.network {
            node.move_to(&network.add());
        }
        if let Some(certificates) = &self.certificates {
            node.encrypt(certificates);
        }
        if let Some(etcd) = &self.etcd {
            let relayed: Vec<_> = self.relays.iter().map(|relay| relay.address().to_owned()).collect();
            let endpoints = if relayed.is_empty() { etcd.endpoints() } else { relayed };
            let endpoints: Vec<_> = endpoints.iter().map(|at| format!("http://{at}")).collect();
            node.set("CONTROL_STORE", "etcd");
            node.set("ETCD_ENDPOINTS", &endpoints.join(","));
        }
        node.set("DATA_DIRS", &self.data.display().to_string());
        for (of, name, value) in &self.settings {
            if *of == role {
                node.set(name, value);
            }
        }
        node
    }

    /// Starts one more auxiliary, and gives its index. It is ready some time later.
    pub fn add_auxiliary(&mut self) -> usize {
        let mut node = self.node(Role::Auxiliary, self.auxiliaries.len() + 1);
        node.set("MASTER_ADDRESS", &self.address());
        node.start();
        self.auxiliaries.push(node);
        self.auxiliaries.len() - 1
    }

    /// Every node.
    pub fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.masters.iter_mut().chain(&mut self.auxiliaries).chain(&mut self.workers)
    }

    /// `host:port` where clients connect: NGINX, else the first master.
    #[must_use]
    pub fn address(&self) -> String {
        self.nginx
            .as_ref()
            .map_or_else(|| self.masters[0].public_address(), Nginx::address)
    }

    /// Every `host:port` where clients may connect: NGINX, else all masters.
    #[must_use]
    pub fn doors(&self) -> Vec<String> {
        match &self.nginx {
            Some(nginx) => vec![nginx.address()],
            None => self.masters.iter().map(Node::public_address).collect(),
        }
    }

    /// The public API, as clients reach it.
    #[must_use]
    pub fn api(&self) -> Api {
        match &self.certificates {
            None => Api::at(&self.address()),
            Some(certificates) => {
                let config = tls::client_of(&certificates.authority(), None).expect("the authority's file can be used");
                Api::encrypted(&self.address(), config)
            }
        }
    }

    /// Where a test may keep files of its own.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until every master that answers routes by a ring of exactly these auxiliaries (by index).
    ///
    /// # Panics
    /// When that is not so at the deadline.
    pub async fn ring_of(&self, auxiliaries: &[usize], within: Duration) {
        let mut expected: Vec<_> = auxiliaries
            .iter()
            .map(|index| self.auxiliaries[*index].name().to_owned())
            .collect();
        expected.sort();
        for master in &self.masters {
            let api = master.public();
            eventually(&format!("{} to route to {expected:?}", master.name()), within, || async {
                let Ok(answer) = api.request("GET", "/nodes").attempt().await else {
                    // Dead masters route nothing.
                    return Ok(());
                };
                let seen = answer.json();
                let nodes = seen["nodes"].as_array().into_iter().flatten();
                let mut members: Vec<_> = nodes
                    .filter(|node| node["share"].is_number())
                    .filter_map(|node| node["id"].as_str())
                    .collect();
                members.sort_unstable();
                if members == expected { Ok(()) } else { Err(seen.to_string()) }
            })
            .await;
        }
    }

    /// Index of the master that leads, seen by its own metric.
    pub async fn leader(&self, within: Duration) -> usize {
        eventually("a master to lead", within, || async {
            let mut leaders = Vec::new();
            for (index, master) in self.masters.iter().enumerate() {
                let scrape = master.private().request("GET", "/metrics").attempt().await;
                if scrape.is_ok_and(|answer| crate::Metrics::new(answer.text()).sum("cluster_is_leader", &[]) == 1.0) {
                    leaders.push(index);
                }
            }
            match leaders.as_slice() {
                [leader] => Ok(*leader),
                _ => Err(format!("leaders: {leaders:?}")),
            }
        })
        .await
    }

    /// Lines of all logs that no run may produce.
    #[must_use]
    pub fn panics(&mut self) -> Vec<String> {
        let found = self.nodes().flat_map(|node| {
            let (name, log) = (node.name().to_owned(), node.log());
            let wrong = |line: &&str| line.contains("panicked") || line.contains("stack backtrace");
            log.lines()
                .filter(wrong)
                .map(|line| format!("{name}: {line}"))
                .collect::<Vec<_>>()
        });
        found.collect()
    }
}
