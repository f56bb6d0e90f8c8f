//! What an operator can set on a worker.

use std::net::IpAddr;
use std::path::PathBuf;

use api::NodeId;
use blobs::BlobSettings;
use cluster::{ControlEngine, EncryptionSettings, Nowhere, Whereabouts};
use query::{Remote, S3Settings};
use serde::{Deserialize, Serialize};
use settings::{ByteSize, List, Secret};
use telemetry::LogFormat;
use telemetry::traces::TraceSettings;

use crate::memory;

/// Least memory queries can work with: a sort needs room for what it merges.
const LEAST_MEMORY: u64 = 64 << 20;

/// Settings of a worker; names as in the environment, in lower case.
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
    /// Tasks run at once, each on one core.
    pub worker_slots: u32,
    /// Memory of all running tasks together, half of the machine's or container's unless set; sorts and aggregates that need
    /// more go to disk.
    pub worker_memory: ByteSize,
    /// Directory of shuffle files and of what does not fit in memory; this node's alone, emptied at start.
    pub work_dir: PathBuf,
    /// Most bytes that may go to disk because memory is short.
    pub spill_limit: ByteSize,
    /// The only directories `file://` tables may lie in; the same files on every worker.
    pub data_dirs: List,
    /// Hosts that `http://` and `https://` tables may come from: `data.example.com`, `files.example.com:8443`,
    /// `*.example.com`; none unless set.
    pub allowed_hosts: List,
    /// Buckets that `s3://` tables may come from; none unless set.
    pub allowed_buckets: List,
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
            node_id: "worker-1".to_owned(),
            bind: IpAddr::from([0, 0, 0, 0]),
            port: 4001,
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
            worker_slots: std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1)),
            worker_memory: ByteSize(memory::default_for_tasks()),
            work_dir: PathBuf::from("data/work"),
            spill_limit: ByteSize(32 << 30),
            data_dirs: List::default(),
            allowed_hosts: List::default(),
            allowed_buckets: List::default(),
            blob_store: String::new(),
            s3_endpoint: String::new(),
            s3_region: String::new(),
            s3_access_key_id: String::new(),
            s3_secret_access_key: Secret::default(),
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
        refuse(!(1..=1024).contains(&self.worker_slots), "WORKER_SLOTS must be 1 to 1024");
        refuse(self.worker_memory.0 < LEAST_MEMORY, "WORKER_MEMORY must be at least 64MiB");
        refuse(self.max_in_flight == 0, "MAX_IN_FLIGHT must be at least 1");
        refuse(
            !(1..=1_000_000).contains(&self.max_connections),
            "MAX_CONNECTIONS must be 1 to 1000000",
        );
        problems.extend(self.blobs().problems());
        problems.extend(self.encryption().problems());
        problems.extend(settings::Settings::problems(&self.traces));
        problems
    }

    /// What of the network tables may come from.
    pub(crate) fn remote(&self) -> Remote {
        let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let secret = self.s3_secret_access_key.expose();
        Remote {
            hosts: self.allowed_hosts.0.clone(),
            buckets: self.allowed_buckets.0.clone(),
            s3: S3Settings {
                endpoint: set(&self.s3_endpoint),
                region: set(&self.s3_region),
                credentials: set(&self.s3_access_key_id).map(|id| (id, secret.to_owned())),
            },
            network: None,
        }
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
