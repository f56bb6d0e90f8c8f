//! One service of a stack: its settings, its ports, and the process that may die and come back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use api::member::Role;

use crate::{Api, Metrics, Port, Process, binary, eventually};

/// A master, an auxiliary or a worker.
#[derive(Debug)]
pub struct Node {
    name: String,
    role: Role,
    private: Port,
    public: Option<Port>,
    environment: BTreeMap<String, String>,
    log: PathBuf,
    process: Option<Process>,
}

impl Node {
    /// A node that does not run yet; its directories are made below `directory`.
    #[must_use]
    pub fn new(role: Role, number: usize, token: &str, directory: &Path) -> Self {
        let name = format!("{role}-{number}");
        let home = directory.join(&name);
        let private = Port::reserve();
        let public = (role == Role::Master).then(Port::reserve);
        let mut node = Self {
            log: directory.join(format!("{name}.log")),
            name: name.clone(),
            role,
            private,
            public,
            environment: BTreeMap::new(),
            process: None,
        };
        node.set("NODE_ID", &name);
        node.set("BIND", "127.0.0.1");
        node.set("ADVERTISE_ADDR", "127.0.0.1");
        node.set("CLUSTER_TOKEN", token);
        node.set("RUST_LOG", "info");
        node.set("RUST_BACKTRACE", "1");
        let own = |name: &str| home.join(name).display().to_string();
        match role {
            Role::Master => {
                node.set("PORT", &node.public.as_ref().map_or(0, Port::number).to_string());
                node.set("INTERNAL_PORT", &node.private.number().to_string());
                node.set("RAFT_DIR", &own("raft"));
            }
            Role::Auxiliary => {
                node.set("PORT", &node.private.number().to_string());
                node.set("BACKUP_DIR", &own("backup"));
                node.set("BLOB_DIR", &own("blobs"));
            }
            Role::Worker => {
                node.set("PORT", &node.private.number().to_string());
                node.set("WORK_DIR", &own("work"));
            }
        }
        node
    }

    /// Sets an environment variable of its next life.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Starts it, when it does not run.
    pub fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let mut command = Command::new(binary(&format!("elasticore-{}", self.role)));
        // Settings of the shell that runs the tests are none of the node's.
        command.env_clear().envs(&self.environment);
        self.process = Some(Process::start(&self.name, &mut command, &self.log));
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// The running process.
    ///
    /// # Panics
    /// When it was killed or never started.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the node runs")
    }

    /// Its `NODE_ID`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `host:port` of its private listener.
    #[must_use]
    pub fn private_address(&self) -> String {
        self.private.address()
    }

    /// `host:port` of its public listener.
    ///
    /// # Panics
    /// When it is no master.
    #[must_use]
    pub fn public_address(&self) -> String {
        self.public.as_ref().expect("only masters have a public listener").address()
    }

    /// Its private listener.
    #[must_use]
    pub fn private(&self) -> Api {
        Api::at(&self.private_address())
    }

    /// Its public listener.
    #[must_use]
    pub fn public(&self) -> Api {
        Api::at(&self.public_address())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends, or is not ready at the deadline.
    pub async fn ready(&mut self, within: Duration) {
        let (api, name) = (self.private(), self.name.clone());
        let process = std::cell::RefCell::new(self.process());
        eventually(&format!("{name} to be ready"), within, || async {
            if let Some(status) = process.borrow_mut().ended() {
                panic!("{name} ended: {status}");
            }
            let answer = api.request("GET", "/ready").attempt().await?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
    }

    /// What it counts.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> Metrics {
        Metrics::new(self.private().get("/metrics").await.expect(200).text())
    }

    /// Everything it said in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
