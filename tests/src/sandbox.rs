//! A whole stack, and the ways to make one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::member::Role;
use tempfile::TempDir;

use crate::{Api, Etcd, Nginx, Node, eventually};

/// Time for a part of the stack to be able to work, on a machine that builds something else at the same time.
const READY: Duration = Duration::from_secs(60);

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct Builder {
    masters: usize,
    auxiliaries: usize,
    workers: usize,
    /// Servers; none for the built-in engine.
    etcd: Option<usize>,
    nginx: bool,
    settings: Vec<(Role, String, String)>,
}

impl Builder {
    /// So many auxiliaries (3 unless set).
    #[must_use]
    pub const fn auxiliaries(mut self, count: usize) -> Self {
        self.auxiliaries = count;
        self
    }

    /// So many workers (2 unless set).
    #[must_use]
    pub const fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// With NGINX before the masters; the others join through it.
    #[must_use]
    pub const fn nginx(mut self) -> Self {
        self.nginx = true;
        self
    }

    /// With a setting for every node of a role.
    #[must_use]
    pub fn set(mut self, role: Role, name: &str, value: impl ToString) -> Self {
        self.settings.push((role, name.to_owned(), value.to_string()));
        self
    }

    /// Starts everything and waits until all of it works.
    ///
    /// # Panics
    /// When a part does not come up.
    pub async fn start(self) -> Sandbox {
        let directory = tempfile::Builder::new()
            .prefix("elasticore-test-")
            .tempdir()
            .expect("a temporary directory can be made");
        // NGINX's workers give up root and must still reach their own files in it.
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("we own it");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("the directory can be written");
        let token = format!("token-{:016x}", fastrand::u64(..));
        let etcd = match self.etcd {
            Some(servers) => Some(Etcd::start(servers).await),
            None => None,
        };
        let nodes = |role, count| {
            (1..=count)
                .map(|number| Node::new(role, number, &token, directory.path()))
                .collect::<Vec<_>>()
        };
        let mut sandbox = Sandbox {
            masters: nodes(Role::Master, self.masters),
            auxiliaries: nodes(Role::Auxiliary, self.auxiliaries),
            workers: nodes(Role::Worker, self.workers),
            etcd,
            nginx: None,
            token,
            data,
            directory,
        };
        sandbox.start(&self).await;
        sandbox
    }
}

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
    /// The cluster's secret.
    pub token: String,
    /// The only directory jobs may read.
    pub data: PathBuf,
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
            settings: Vec::new(),
        }
    }

    async fn start(&mut self, builder: &Builder) {
        let endpoints = self
            .etcd
            .as_ref()
            .map(|etcd| etcd.endpoints().iter().map(|at| format!("http://{at}")).collect::<Vec<_>>());
        let data = self.data.display().to_string();
        for node in self.nodes() {
            if let Some(endpoints) = &endpoints {
                node.set("CONTROL_STORE", "etcd");
                node.set("ETCD_ENDPOINTS", &endpoints.join(","));
            }
            node.set("DATA_DIRS", &data);
            for (role, name, value) in &builder.settings {
                if node.name().starts_with(role.as_str()) {
                    node.set(name, value);
                }
            }
        }
        self.masters.iter_mut().for_each(Node::start);
        for master in &mut self.masters {
            master.ready(READY).await;
        }
        if builder.nginx {
            let masters: Vec<_> = self.masters.iter().map(Node::public_address).collect();
            self.nginx = Some(Nginx::start(&masters, self.directory.path()).await);
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

    /// The public API, as clients reach it.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::at(&self.address())
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
