//! What an operator can set on a master.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::NodeId;
use cluster::ControlEngine;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, HumanDuration, List, Secret};
use telemetry::LogFormat;

/// Most copies of a cache entry.
const MAX_REPLICAS: u32 = 5;

/// Settings of a master; names as in the environment, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Stable name of this node.
    pub node_id: String,
    /// Address both listeners bind to.
    pub bind: IpAddr,
    /// Public port.
    pub port: u16,
    /// Private port, for nodes of the cluster.
    pub internal_port: u16,
    /// Host name or address under which the other nodes reach this one.
    pub advertise_addr: String,
    /// Shared secret of the cluster's nodes.
    pub cluster_token: Secret,
    /// Engine of the control store.
    pub control_store: ControlEngine,
    /// etcd: its client addresses.
    pub etcd_endpoints: List,
    /// raft: directory of log and snapshots.
    pub raft_dir: PathBuf,
    /// Failure domain.
    pub zone: Option<String>,
    /// Points of each auxiliary on the ring; the same on all masters.
    pub virtual_nodes: u32,
    /// Copies of each cache entry; the same on all masters.
    pub cache_replicas: u32,
    /// Time between probes of each auxiliary.
    pub health_check_interval: HumanDuration,
    /// Time between backups of the whole cache under one id, made by the master that leads; 0 for none.
    pub backup_interval: HumanDuration,
    /// Largest value of the cache.
    pub max_value_bytes: ByteSize,
    /// Values of the cache of so many bytes and more are compressed when that saves a fifth.
    pub compress_above: ByteSize,
    /// Longest time for one public request, except those that wait on purpose.
    pub request_timeout: HumanDuration,
    /// Requests answered at once on each listener; more are refused with 503.
    pub max_in_flight: usize,
    /// How long results and records of finished jobs are kept.
    pub result_ttl: HumanDuration,
    /// How long a job waits when there is no worker at all.
    pub worker_wait: HumanDuration,
    /// How logs are written.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_id: "master-1".to_owned(),
            bind: IpAddr::from([0, 0, 0, 0]),
            port: 8000,
            internal_port: 9000,
            advertise_addr: "127.0.0.1".to_owned(),
            cluster_token: Secret::default(),
            control_store: ControlEngine::Raft,
            etcd_endpoints: List::default(),
            raft_dir: PathBuf::from("data/raft"),
            zone: None,
            virtual_nodes: 256,
            cache_replicas: 2,
            health_check_interval: HumanDuration(Duration::from_secs(1)),
            backup_interval: HumanDuration(Duration::from_secs(120)),
            max_value_bytes: ByteSize(8 << 20),
            compress_above: ByteSize(4 << 10),
            request_timeout: HumanDuration(Duration::from_secs(10)),
            max_in_flight: 4096,
            result_ttl: HumanDuration(Duration::from_secs(24 * 60 * 60)),
            worker_wait: HumanDuration(Duration::from_secs(60)),
            log_format: LogFormat::Text,
        }
    }
}

impl settings::Settings for Settings {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("REPLICATION_FACTOR", "virtual_nodes")];

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = NodeId::try_new(&self.node_id) {
            problems.push(error.to_string());
        }
        let mut refuse = |wrong: bool, sentence: &str| {
            if wrong {
                problems.push(sentence.to_owned());
            }
        };
        refuse(
            self.cluster_token.expose().is_empty(),
            "CLUSTER_TOKEN is empty: give every node of the cluster the same secret",
        );
        refuse(
            self.control_store == ControlEngine::Etcd && self.etcd_endpoints.0.is_empty(),
            "CONTROL_STORE=etcd needs ETCD_ENDPOINTS, as in http://etcd-1:2379,http://etcd-2:2379",
        );
        refuse(
            self.virtual_nodes == 0 || self.virtual_nodes > 16_384,
            "VIRTUAL_NODES must be 1 to 16384",
        );
        refuse(
            !(1..=MAX_REPLICAS).contains(&self.cache_replicas),
            "CACHE_REPLICAS must be 1 to 5",
        );
        refuse(
            self.health_check_interval.0.is_zero(),
            "HEALTH_CHECK_INTERVAL must be longer than 0",
        );
        refuse(
            !self.backup_interval.0.is_zero() && self.backup_interval.0 < Duration::from_secs(1),
            "BACKUP_INTERVAL must be at least 1s, or 0 for no backups",
        );
        refuse(self.request_timeout.0.is_zero(), "REQUEST_TIMEOUT must be longer than 0");
        refuse(
            !(1..=(1 << 30)).contains(&self.max_value_bytes.0),
            "MAX_VALUE_BYTES must be 1 byte to 1GiB",
        );
        refuse(self.max_in_flight == 0, "MAX_IN_FLIGHT must be at least 1");
        problems
    }
}
