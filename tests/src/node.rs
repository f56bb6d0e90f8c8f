//! One service of a stack: its settings, its ports, and the process that may die and come back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use api::member::Role;

use crate::network::{self, Place};
use crate::{Api, Certificates, Metrics, Port, Process, binary, eventually};

/// A master, an auxiliary or a worker.
#[derive(Debug)]
pub struct Node {
    name: String,
    role: Role,
    private: Port,
    public: Option<Port>,
    /// Its address.
    host: String,
    /// The network namespace it lives in, when it has one of its own.
    namespace: Option<String>,
    environment: BTreeMap<String, String>,
    log: PathBuf,
    process: Option<Process>,
    /// How its listeners are spoken to, when they are encrypted.
    client: Option<tls::ClientConfig>,
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
            host: "127.0.0.1".to_owned(),
            namespace: None,
            environment: BTreeMap::new(),
            process: None,
            client: None,
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

    /// Gives it a network namespace of its own in its next life.
    pub fn move_to(&mut self, place: &Place) {
        self.namespace = Some(place.namespace.clone());
        self.host.clone_from(&place.address);
        self.set("BIND", "0.0.0.0");
        self.set("ADVERTISE_ADDR", &place.address);
    }

    /// Gives it a certificate for its address, and has it speak TLS on all its listeners in its next life.
    pub fn encrypt(&mut self, certificates: &Certificates) {
        let certified = certificates.certify(&self.name, &[&self.host, "masters"]);
        for (name, value) in certified.settings() {
            self.set(name, &value);
        }
        if self.role == Role::Master {
            self.set("PUBLIC_TLS", "on");
        }
        self.client = Some(certified.client(&certificates.authority()));
    }

    /// Where it lives, when it has a network namespace of its own.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.namespace.clone().map(|namespace| Place {
            namespace,
            address: self.host.clone(),
        })
    }

    /// Starts it, when it does not run.
    pub fn start(&mut self) {
        if self.process.is_some() {
            return;
        }
        let program = binary(&format!("elasticore-{}", self.role));
        let mut command = match &self.namespace {
            Some(namespace) => network::inside(namespace, &program),
            None => Command::new(program),
        };
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

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// When it still runs at the deadline, or says that it failed.
    pub async fn stop(&mut self, within: Duration) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            let status = process.exit(within).await;
            assert!(status.success(), "{} ended: {status}", self.name);
        }
    }

    /// Stops it where it stands: its connections stay open and nothing answers.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&mut self) {
        self.process().signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&mut self) {
        self.process().signal("CONT");
    }

    /// Whether it was started and has not been ended by the test.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.process.is_some()
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
        format!("{}:{}", self.host, self.private.number())
    }

    /// `host:port` of its public listener.
    ///
    /// # Panics
    /// When it is no master.
    #[must_use]
    pub fn public_address(&self) -> String {
        let port = self.public.as_ref().expect("only masters have a public listener");
        format!("{}:{}", self.host, port.number())
    }

    /// Its private listener.
    #[must_use]
    pub fn private(&self) -> Api {
        self.at(&self.private_address())
    }

    /// Its public listener.
    #[must_use]
    pub fn public(&self) -> Api {
        self.at(&self.public_address())
    }

    fn at(&self, address: &str) -> Api {
        match &self.client {
            None => Api::at(address),
            Some(client) => Api::encrypted(address, client.clone()),
        }
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
