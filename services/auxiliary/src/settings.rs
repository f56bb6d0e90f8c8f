//! What an operator can set on an auxiliary.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::NodeId;
use cluster::{ControlEngine, EncryptionSettings, Nowhere, Whereabouts};
use serde::{Deserialize, Serialize};
use settings::{ByteSize, HumanDuration, List, Secret};
use telemetry::LogFormat;
use telemetry::traces::TraceSettings;

/// What goes when there is no room (`CACHE_POLICY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CachePolicy {
    /// Least recently used.
    #[default]
    Lru,
    /// S3-FIFO: what was asked for once makes way for what is asked for again.
    S3Fifo,
}

/// Settings of an auxiliary; names as in the environment, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Stable name of this node.
    pub node_id: String,
    /// Address to bind to.
    pub bind: IpAddr,
    /// Port, for nodes of the cluster only.
    pub port: u16,
    /// Host name or address under which the other nodes reach this one.
    pub advertise_addr: String,
    /// Shared secret of the cluster's nodes.
    pub cluster_token: Secret,
    /// The node's certificate, and those between it and the authority: with it, its key and the authority, nodes speak TLS and show each
    /// other who they are.
    pub tls_cert: String,
    /// Its key.
    pub tls_key: String,
    /// Certificates of the authorities that are trusted.
    pub tls_ca: String,
    /// `host:port` of any master or of the load balancer before them: all that is needed to join.
    pub master_address: Option<String>,
    /// Without `MASTER_ADDRESS`: engine of the control store.
    pub control_store: ControlEngine,
    /// etcd: its client addresses.
    pub etcd_endpoints: List,
    /// etcd with `https` endpoints: the certificate it is shown; the node's own unless set.
    pub etcd_cert: String,
    /// etcd: its key.
    pub etcd_key: String,
    /// etcd: certificates of the authorities of its servers.
    pub etcd_ca: String,
    /// etcd: name of a user, when it asks for one.
    pub etcd_user: String,
    /// etcd: password of the user.
    pub etcd_password: Secret,
    /// raft: private `host:port` of the masters.
    pub masters: List,
    /// Failure domain.
    pub zone: Option<String>,
    /// Share of the keys relative to other auxiliaries.
    pub weight: u32,
    /// Most entries in memory.
    pub cache_size: usize,
    /// Most bytes in memory, keys and bookkeeping included.
    pub cache_max_bytes: ByteSize,
    /// What goes when there is no room: `lru`, or `s3fifo`, which keeps what is asked for again.
    pub cache_policy: CachePolicy,
    /// Largest value of the cache.
    pub max_value_bytes: ByteSize,
    /// Directory of the backups; this node's alone.
    pub backup_dir: PathBuf,
    /// Time between two backups of this node; 0 for none but those that are asked for, and the one at the end.
    pub backup_interval: HumanDuration,
    /// Backups kept.
    pub backup_keep: usize,
    /// What may be fetched in a second from other nodes when the ring changes.
    pub sync_bytes_per_second: ByteSize,
    /// Directory of the blobs; this node's alone.
    pub blob_dir: PathBuf,
    /// Copies of each blob, while there are as many auxiliaries; the same on all of them.
    pub blob_replicas: u32,
    /// Most bytes of all blobs on this node together; 0 for no bound.
    pub blob_max_bytes: ByteSize,
    /// Bytes of the disk that blobs leave free.
    pub blob_min_free: ByteSize,
    /// Absence after which a node's blobs are copied to others; one that comes back sooner costs nothing.
    pub blob_repair_after: HumanDuration,
    /// Time between two readings of all blobs, in search of damage; 0 for none.
    pub blob_scrub_interval: HumanDuration,
    /// What such a reading may read in a second.
    pub blob_scrub_bytes_per_second: ByteSize,
    /// Requests answered at once; more are refused with 503.
    pub max_in_flight: usize,
    /// Open connections; when there are more, those idle for longest are closed.
    pub max_connections: usize,
    /// Where spans of requests and jobs are sent, and which.
    #[serde(flatten)]
    pub traces: TraceSettings,
    /// How logs are written.
    pub log_format: LogFormat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_id: "auxiliary-1".to_owned(),
            bind: IpAddr::from([0, 0, 0, 0]),
            port: 3001,
            advertise_addr: "127.0.0.1".to_owned(),
            cluster_token: Secret::default(),
            tls_cert: String::new(),
            tls_key: String::new(),
            tls_ca: String::new(),
            master_address: None,
            control_store: ControlEngine::Raft,
            etcd_endpoints: List::default(),
            etcd_cert: String::new(),
            etcd_key: String::new(),
            etcd_ca: String::new(),
            etcd_user: String::new(),
            etcd_password: Secret::default(),
            masters: List::default(),
            zone: None,
            weight: 1,
            cache_size: 1_000_000,
            cache_max_bytes: ByteSize(256 << 20),
            cache_policy: CachePolicy::Lru,
            max_value_bytes: ByteSize(8 << 20),
            backup_dir: PathBuf::from("data/backups"),
            backup_interval: HumanDuration(Duration::from_secs(60)),
            backup_keep: 5,
            sync_bytes_per_second: ByteSize(64 << 20),
            blob_dir: PathBuf::from("data/blobs"),
            blob_replicas: 2,
            blob_max_bytes: ByteSize(0),
            blob_min_free: ByteSize(256 << 20),
            blob_repair_after: HumanDuration(Duration::from_secs(600)),
            blob_scrub_interval: HumanDuration(Duration::from_secs(7 * 24 * 60 * 60)),
            blob_scrub_bytes_per_second: ByteSize(32 << 20),
            max_in_flight: 4096,
            max_connections: 16_384,
            traces: TraceSettings::default(),
            log_format: LogFormat::Text,
        }
    }
}

impl Settings {
    /// What is wrong however the control store is found.
    pub(crate) fn problems_of_the_node(&self) -> Vec<String> {
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
        refuse(self.cache_size == 0, "CACHE_SIZE must be at least 1");
        refuse(!(1..=1_000).contains(&self.weight), "WEIGHT must be 1 to 1000");
        refuse(
            !(1..=(1 << 30)).contains(&self.max_value_bytes.0),
            "MAX_VALUE_BYTES must be 1 byte to 1GiB",
        );
        refuse(
            self.cache_max_bytes.0 < self.max_value_bytes.0.saturating_mul(2),
            "CACHE_MAX_BYTES must be at least twice MAX_VALUE_BYTES, or a large value would empty the cache",
        );
        refuse(
            self.backup_interval.0 > Duration::from_secs(600),
            "BACKUP_INTERVAL must be at most 10m (0 for none): an older backup could bring back what was deleted since",
        );
        refuse(self.backup_keep == 0, "BACKUP_KEEP must be at least 1");
        refuse(self.sync_bytes_per_second.0 == 0, "SYNC_BYTES_PER_SECOND must be at least 1");
        refuse(!(1..=5).contains(&self.blob_replicas), "BLOB_REPLICAS must be 1 to 5");
        refuse(
            self.blob_scrub_bytes_per_second.0 == 0,
            "BLOB_SCRUB_BYTES_PER_SECOND must be at least 1 (BLOB_SCRUB_INTERVAL=0 for no scrub)",
        );
        refuse(self.max_in_flight == 0, "MAX_IN_FLIGHT must be at least 1");
        refuse(
            !(1..=1_000_000).contains(&self.max_connections),
            "MAX_CONNECTIONS must be 1 to 1000000",
        );
        problems.extend(self.encryption().problems());
        problems.extend(settings::Settings::problems(&self.traces));
        problems
    }

    /// What is shown to other nodes and to etcd.
    pub(crate) fn encryption(&self) -> EncryptionSettings<'_> {
        EncryptionSettings {
            node: [&self.tls_cert, &self.tls_key, &self.tls_ca],
            etcd: [&self.etcd_cert, &self.etcd_key, &self.etcd_ca],
            etcd_user: [&self.etcd_user, self.etcd_password.expose()],
            etcd_endpoints: &self.etcd_endpoints.0,
            host: &self.advertise_addr,
        }
    }

    /// Where the cluster is.
    pub(crate) fn whereabouts(&self) -> Result<Whereabouts, Nowhere> {
        Whereabouts::of_settings(
            self.master_address.as_deref(),
            self.control_store,
            &self.masters.0,
            &self.etcd_endpoints.0,
        )
    }
}

impl settings::Settings for Settings {
    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems_of_the_node();
        problems.extend(self.whereabouts().err().map(|nowhere| nowhere.to_string()));
        problems
    }
}
