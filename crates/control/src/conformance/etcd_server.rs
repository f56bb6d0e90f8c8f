//! Real etcd servers for tests: on ports that stay theirs, killed when dropped, on panic too.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Port;

/// Time for a server, or a cluster, to be able to serve.
const READY: Duration = Duration::from_secs(30);

/// One etcd process.
#[derive(Debug)]
pub struct EtcdServer {
    child: Option<Child>,
    ports: Ports,
    flags: Vec<String>,
    directory: TempDir,
}

#[derive(Debug)]
struct Ports {
    client: Port,
    peer: Port,
    /// Where it says how it is, in plain HTTP whatever clients speak.
    health: Port,
}

impl EtcdServer {
    /// A cluster of one, ready to serve. Further flags (`--quota-backend-bytes=…`) may be given.
    ///
    /// # Panics
    /// When etcd is not installed or does not come up.
    pub async fn start(flags: &[&str]) -> Self {
        Self::start_as("http", flags).await
    }

    /// The same, with clients that speak TLS: `--cert-file=…`, `--key-file=…` and the like are among the flags.
    ///
    /// # Panics
    /// When etcd is not installed or does not come up.
    pub async fn start_encrypted(flags: &[&str]) -> Self {
        Self::start_as("https", flags).await
    }

    async fn start_as(scheme: &str, flags: &[&str]) -> Self {
        let ports = Ports::reserve();
        // A cluster of one needs no patience with its peers; a short election also shortens the least ttl to a second.
        let mut flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        flags.extend(["--heartbeat-interval=50".to_owned(), "--election-timeout=500".to_owned()]);
        let cluster = ports.member("etcd-1");
        let mut server = Self::spawn(("etcd-1", scheme), ports, &cluster, flags);
        server.must_be_ready().await;
        server
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.ports.client.address()
    }

    /// Kills the process as a crash would; its data stay.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on its ports with its data.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.kill();
        let give_up = Instant::now() + READY;
        loop {
            self.child = Some(Self::run(&self.flags, &self.log()));
            match self.ready().await {
                Ok(()) => return,
                Err(reason) => assert!(Instant::now() < give_up, "{reason}"),
            }
        }
    }

    /// Kills the process and removes its data.
    ///
    /// # Panics
    /// When they cannot be removed.
    pub fn lose_data(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.directory.path().join("data")).expect("the data directory can be removed");
    }

    /// Stops the process where it stands: its connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal} failed");
    }

    fn spawn((name, scheme): (&str, &str), ports: Ports, cluster: &str, flags: Vec<String>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let client = format!("{scheme}://{}", ports.client.address());
        let peer = format!("http://{}", ports.peer.address());
        let mut all = vec![
            format!("--name={name}"),
            format!("--data-dir={}", directory.path().join("data").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-metrics-urls=http://{}", ports.health.address()),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster={cluster}"),
            "--logger=zap".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        all.extend(flags);
        let child = Some(Self::run(&all, &directory.path().join("log")));
        Self {
            child,
            ports,
            flags: all,
            directory,
        }
    }

    fn run(flags: &[String], log: &PathBuf) -> Child {
        let log = File::create(log).expect("the temporary directory can be written");
        Command::new("etcd")
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd is needed for this test: install etcd-server")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    async fn must_be_ready(&mut self) {
        if let Err(reason) = self.ready().await {
            panic!("{reason}");
        }
    }

    /// Waits until it says that it is healthy, which takes a leader.
    async fn ready(&mut self) -> Result<(), String> {
        let give_up = Instant::now() + READY;
        while Instant::now() < give_up {
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                return Err(format!("etcd ended with {status}:\n{log}"));
            }
            if timeout(Duration::from_secs(1), is_healthy(self.ports.health.number())).await == Ok(true) {
                return Ok(());
            }
            sleep(Duration::from_millis(25)).await;
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        Err(format!("etcd was not ready within {READY:?}:\n{log}"))
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Several etcd processes that form a cluster.
#[derive(Debug)]
pub struct EtcdCluster {
    /// Its members.
    pub members: Vec<EtcdServer>,
}

impl EtcdCluster {
    /// A cluster, ready to serve.
    ///
    /// # Panics
    /// When etcd is not installed or does not come up.
    pub async fn start(size: usize) -> Self {
        let ports: Vec<_> = (0..size).map(|_| Ports::reserve()).collect();
        let names: Vec<_> = (1..=size).map(|i| format!("etcd-{i}")).collect();
        let cluster: Vec<_> = names.iter().zip(&ports).map(|(name, ports)| ports.member(name)).collect();
        let cluster = cluster.join(",");
        let flags = || vec!["--heartbeat-interval=100".to_owned(), "--election-timeout=1000".to_owned()];
        let members = names.iter().zip(ports);
        let mut members: Vec<_> = members
            .map(|(name, ports)| EtcdServer::spawn((name, "http"), ports, &cluster, flags()))
            .collect();
        for member in &mut members {
            member.must_be_ready().await;
        }
        Self { members }
    }

    /// `host:port` of every member.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(EtcdServer::endpoint).collect()
    }
}

impl Ports {
    fn reserve() -> Self {
        Self {
            client: Port::reserve(),
            peer: Port::reserve(),
            health: Port::reserve(),
        }
    }

    fn member(&self, name: &str) -> String {
        format!("{name}=http://{}", self.peer.address())
    }
}

async fn is_healthy(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    ask.await.is_ok_and(|answer| answer.contains("\"health\":\"true\""))
}
