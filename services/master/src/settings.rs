//! What an operator can set on a master.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::NodeId;
use blobs::BlobSettings;
use cluster::{ControlEngine, EncryptionSettings};
use control::raft::InitialMember;
use serde::{Deserialize, Serialize};
use settings::{ByteSize, HumanDuration, List, Secret, Switch};
use telemetry::LogFormat;
use telemetry::traces::TraceSettings;

use crate::app::limits::Network;

pub use auth::Auth;

mod auth;

/// Most copies of a cache entry.
const MAX_REPLICAS: u32 = 5;
/// Most voters of the built-in control store: each more makes every write wait for more disks.
const MAX_VOTERS: usize = 7;

/// Settings of a master; names as in the environment, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// The node's certificate, and those between it and the authority: with it, its key and the authority, nodes speak TLS and show each
    /// other who they are.
    pub tls_cert: String,
    /// Its key.
    pub tls_key: String,
    /// Certificates of the authorities that are trusted.
    pub tls_ca: String,
    /// Whether the public port speaks TLS too, with the same certificate; NGINX does for it unless set.
    pub public_tls: Switch,
    /// Engine of the control store.
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
    /// raft: directory of log and snapshots.
    pub raft_dir: PathBuf,
    /// raft: the masters that begin the cluster, this one among them, as `NAME=HOST:PORT`; none for a cluster of one.
    pub raft_initial_cluster: List,
    /// raft: private addresses of masters that this one joins, after `elasticore cluster add`.
    pub raft_join: List,
    /// raft: bytes that the user's keys may take.
    pub raft_kv_quota: ByteSize,
    /// raft: revisions that a watch can go back.
    pub raft_history_revisions: usize,
    /// raft: log entries after which a snapshot is made and the log behind it removed.
    pub raft_snapshot_entries: u64,
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
    /// Open connections of each listener; when there are more, those idle for longest are closed.
    pub max_connections: usize,
    /// Public requests a second of one API key, of the subject of a token, or of all who have neither together; 0 for no limit.
    pub rate_limit_per_key: u32,
    /// Public requests a second from one address, of IPv6 from one /64; 0 for no limit.
    pub rate_limit_per_address: u32,
    /// Requests that may come at once within these two limits; 0 for as many as in a second.
    pub rate_limit_burst: u32,
    /// Public requests of one key under way at once, answers that are still being sent among them; 0 for no limit.
    pub max_in_flight_per_key: usize,
    /// The same of one address.
    pub max_in_flight_per_address: usize,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is believed; none unless set.
    pub trusted_proxies: List,
    /// File for the audit log; the ordinary log when empty or `-`.
    pub audit_log: String,
    /// How long results and records of finished jobs are kept.
    pub result_ttl: HumanDuration,
    /// Jobs of one namespace that may wait; more are refused with 429.
    pub max_queued_jobs: usize,
    /// Bytes of SQL and tables that these may have in all: the leader keeps them in memory.
    pub max_queued_job_bytes: ByteSize,
    /// Jobs of one namespace that run at once; further ones wait.
    pub max_running_jobs: usize,
    /// Ended jobs of one namespace that are kept; more are refused with 429 until some are gone.
    pub max_stored_jobs: usize,
    /// Bytes of results of one namespace that are kept.
    pub max_stored_results: ByteSize,
    /// Where blobs are kept: on the auxiliaries when empty, or `s3://BUCKET/PREFIX`; the same on all masters and workers.
    pub blob_store: String,
    /// S3: address of a store that is not Amazon's, as in `http://minio:9000`.
    pub s3_endpoint: String,
    /// S3: region; `us-east-1` when empty.
    pub s3_region: String,
    /// S3: key; when empty, what the environment or the machine gives (`AWS_ACCESS_KEY_ID`, a role).
    pub s3_access_key_id: String,
    /// S3: secret of the key.
    pub s3_secret_access_key: Secret,
    /// How long blobs that nothing names any more are kept.
    pub blob_grace: HumanDuration,
    /// How long a job waits when there is no worker at all.
    pub worker_wait: HumanDuration,
    /// Whether callers of the public API have to be known.
    pub auth: Auth,
    /// A key that may do everything and is in no control store, for the first one of all and for when others are lost; none when empty.
    pub elasticore_root_key: Secret,
    /// File or URL of the JSON Web Key Set of those who sign tokens; no tokens without.
    pub auth_jwks: String,
    /// Tokens: the audience they must be for.
    pub auth_audience: String,
    /// Tokens: who must have issued them; anybody whose keys are in the set when empty.
    pub auth_issuer: String,
    /// How long API keys work while the control store is silent, and nobody can tell whether they were revoked.
    pub auth_max_silence: HumanDuration,
    /// Where spans of requests and jobs are sent, and which.
    #[serde(flatten)]
    pub traces: TraceSettings,
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
            tls_cert: String::new(),
            tls_key: String::new(),
            tls_ca: String::new(),
            public_tls: Switch::Off,
            control_store: ControlEngine::Raft,
            etcd_endpoints: List::default(),
            etcd_cert: String::new(),
            etcd_key: String::new(),
            etcd_ca: String::new(),
            etcd_user: String::new(),
            etcd_password: Secret::default(),
            raft_dir: PathBuf::from("data/raft"),
            raft_initial_cluster: List::default(),
            raft_join: List::default(),
            raft_kv_quota: ByteSize(1 << 30),
            raft_history_revisions: 100_000,
            raft_snapshot_entries: 100_000,
            zone: None,
            virtual_nodes: 256,
            cache_replicas: 2,
            health_check_interval: HumanDuration(Duration::from_secs(1)),
            backup_interval: HumanDuration(Duration::from_secs(120)),
            max_value_bytes: ByteSize(8 << 20),
            compress_above: ByteSize(4 << 10),
            request_timeout: HumanDuration(Duration::from_secs(10)),
            max_in_flight: 4096,
            max_connections: 16_384,
            rate_limit_per_key: 0,
            rate_limit_per_address: 0,
            rate_limit_burst: 0,
            max_in_flight_per_key: 0,
            max_in_flight_per_address: 0,
            trusted_proxies: List::default(),
            audit_log: String::new(),
            result_ttl: HumanDuration(Duration::from_secs(24 * 60 * 60)),
            max_queued_jobs: 10_000,
            max_queued_job_bytes: ByteSize(256 << 20),
            max_running_jobs: 1_000,
            max_stored_jobs: 100_000,
            max_stored_results: ByteSize(100 << 30),
            blob_store: String::new(),
            s3_endpoint: String::new(),
            s3_region: String::new(),
            s3_access_key_id: String::new(),
            s3_secret_access_key: Secret::default(),
            blob_grace: HumanDuration(Duration::from_secs(60 * 60)),
            worker_wait: HumanDuration(Duration::from_secs(60)),
            auth: Auth::Off,
            elasticore_root_key: Secret::default(),
            auth_jwks: String::new(),
            auth_audience: String::new(),
            auth_issuer: String::new(),
            auth_max_silence: HumanDuration(Duration::from_secs(10 * 60)),
            traces: TraceSettings::default(),
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
        problems.extend(self.problems_of_raft());
        problems.extend(self.blobs().problems());
        problems.extend(self.encryption().problems());
        problems.extend(settings::Settings::problems(&self.traces));
        let wrong = |text: &String| Some(format!("TRUSTED_PROXIES: {}", text.parse::<Network>().err()?));
        problems.extend(self.trusted_proxies.0.iter().filter_map(wrong));
        problems.extend(self.problems_of_auth());
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
            self.public_tls.is_on() && self.tls_cert.is_empty(),
            "PUBLIC_TLS=on needs TLS_CERT, TLS_KEY and TLS_CA",
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
        refuse(
            !(1..=1_000_000).contains(&self.max_connections),
            "MAX_CONNECTIONS must be 1 to 1000000",
        );
        problems
    }
}

impl Settings {
    /// The masters that begin the cluster.
    ///
    /// # Errors
    /// When the list is not one; [`settings::Settings::problems`] says so too.
    pub fn initial_cluster(&self) -> Result<Vec<InitialMember>, control::Error> {
        InitialMember::parse_list(&self.raft_initial_cluster.0.join(","))
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

    /// Where blobs are kept.
    pub(crate) fn blobs(&self) -> BlobSettings {
        BlobSettings {
            store: self.blob_store.clone(),
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            access_key_id: self.s3_access_key_id.clone(),
            secret_access_key: self.s3_secret_access_key.expose().to_owned(),
        }
    }

    fn problems_of_raft(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match self.initial_cluster() {
            Err(control::Error::Invalid(reason)) => problems.push(reason),
            Err(other) => problems.push(other.to_string()),
            Ok(initial) if initial.is_empty() => {}
            Ok(initial) => {
                if self.raft_join.0.is_empty() && !initial.iter().any(|member| member.name == self.node_id) {
                    problems.push(format!(
                        "RAFT_INITIAL_CLUSTER does not name this node, {} (NODE_ID): those that begin a cluster have the same list, and one that is \
                         added later has RAFT_JOIN",
                        self.node_id
                    ));
                }
                if initial.len() > MAX_VOTERS {
                    problems.push(format!(
                        "RAFT_INITIAL_CLUSTER names {} masters; at most {MAX_VOTERS} are allowed, and 3 or 5 are best",
                        initial.len()
                    ));
                }
            }
        }
        for address in &self.raft_join.0 {
            if !is_address(address) {
                problems.push(format!("{address:?} in RAFT_JOIN is not HOST:PORT, as in 10.0.0.1:9000"));
            }
        }
        let mut refuse = |wrong: bool, sentence: &str| {
            if wrong {
                problems.push(sentence.to_owned());
            }
        };
        let (initial, join) = (!self.raft_initial_cluster.0.is_empty(), !self.raft_join.0.is_empty());
        refuse(
            self.control_store == ControlEngine::Etcd && (initial || join),
            "RAFT_INITIAL_CLUSTER and RAFT_JOIN are for CONTROL_STORE=raft, and CONTROL_STORE is etcd",
        );
        refuse(self.raft_kv_quota.0 == 0, "RAFT_KV_QUOTA must be at least 1 byte");
        refuse(self.raft_history_revisions == 0, "RAFT_HISTORY_REVISIONS must be at least 1");
        refuse(self.raft_snapshot_entries == 0, "RAFT_SNAPSHOT_ENTRIES must be at least 1");
        problems
    }
}

fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':')
        .is_some_and(|(host, number)| !host.is_empty() && !host.contains(['/', ' ', '=']) && port(number))
}

#[cfg(test)]
mod tests;
