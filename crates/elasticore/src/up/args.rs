//! Arguments of `up`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Private port of the master, as in every other deployment.
const MASTER_PORT: u16 = 9000;
/// Port of the first auxiliary; the others follow.
const AUXILIARY_PORT: u16 = 3001;
/// Port of the first worker; the others follow.
const WORKER_PORT: u16 = 4001;

/// What to run, and where.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Port of the public API; 0 takes free ports for everything.
    #[arg(long, default_value_t = 8081)]
    pub port: u16,
    /// Take free ports for the private listeners, not 9000, 3001… and 4001…
    #[arg(long)]
    pub free_ports: bool,
    /// Address all listeners bind to.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,
    /// Directory for all that is kept: keys, job records, blobs. Made when missing.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// One more directory whose files jobs may read; repeatable. Always readable: ./deploy/sample-data when it is there, and
    /// the directory `tables` in the data directory.
    #[arg(long = "data-dir", value_name = "DIR")]
    pub data_dirs: Vec<PathBuf>,
    /// How many storage nodes.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub auxiliaries: u16,
    /// How many workers.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub workers: u16,
    /// Longest time until everything works. Replaying a long log, or a slow disk, may need more.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub wait_timeout: Duration,
    /// Callers have to be known: by this key, which may do everything, or by API keys made with it. Better in the variable.
    #[arg(long, env = "ELASTICORE_ROOT_KEY", hide_env_values = true, value_name = "KEY")]
    pub root_key: Option<String>,
}

impl UpArgs {
    /// Port of the master's private listener.
    pub(super) const fn master_port(&self) -> u16 {
        self.documented(MASTER_PORT)
    }

    /// Port of an auxiliary, counted from 0.
    pub(super) const fn auxiliary_port(&self, at: u16) -> u16 {
        self.documented(AUXILIARY_PORT + at)
    }

    /// Port of a worker, counted from 0.
    pub(super) const fn worker_port(&self, at: u16) -> u16 {
        self.documented(WORKER_PORT + at)
    }

    const fn documented(&self, port: u16) -> u16 {
        if self.free_ports || self.port == 0 { 0 } else { port }
    }

    /// Every address that must be free, the public one first.
    pub(super) fn fixed_addresses(&self) -> Vec<SocketAddr> {
        let auxiliaries = (0..self.auxiliaries).map(|at| self.auxiliary_port(at));
        let workers = (0..self.workers).map(|at| self.worker_port(at));
        let ports = [self.port, self.master_port()].into_iter().chain(auxiliaries).chain(workers);
        ports
            .filter(|port| *port != 0)
            .map(|port| SocketAddr::new(self.bind, port))
            .collect()
    }

    /// The root key; none when it is empty.
    pub(super) fn root_key(&self) -> Option<&str> {
        self.root_key.as_deref().filter(|key| !key.is_empty())
    }

    /// The host under which nodes and clients on this machine reach the listeners.
    pub(super) fn host(&self) -> String {
        match self.bind {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        up: UpArgs,
    }

    fn parse(arguments: &[&str]) -> UpArgs {
        Line::try_parse_from([&["up"], arguments].concat()).unwrap().up
    }

    fn ports(arguments: &[&str]) -> Vec<u16> {
        parse(arguments).fixed_addresses().iter().map(SocketAddr::port).collect()
    }

    #[test]
    fn ports_are_the_documented_ones_unless_free_ones_are_asked_for() {
        assert_eq!(ports(&[]), [8081, 9000, 3001, 3002, 3003, 4001, 4002]);
        assert_eq!(
            ports(&["--port", "80", "--auxiliaries", "1", "--workers", "1"]),
            [80, 9000, 3001, 4001]
        );
        assert_eq!(ports(&["--free-ports"]), [8081]);
        assert!(ports(&["--port", "0"]).is_empty());
    }

    #[test]
    fn only_loopback_is_listened_on_unless_told_otherwise() {
        assert!(parse(&[]).fixed_addresses().iter().all(|address| address.ip().is_loopback()));
        assert_eq!(parse(&["--bind", "0.0.0.0"]).host(), "127.0.0.1");
        assert_eq!(parse(&["--bind", "::1"]).host(), "[::1]");
    }

    #[test]
    fn numbers_of_nodes_are_bounded() {
        for wrong in [["--workers", "0"], ["--auxiliaries", "33"], ["--port", "65536"]] {
            assert!(Line::try_parse_from(["up", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
        }
    }
}
