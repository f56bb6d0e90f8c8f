//! Use cases: what the master does, in its own words. Nothing here knows HTTP.

pub mod audit;
pub mod auth;
pub mod auxiliaries;
pub mod backups;
pub mod cluster;
pub mod collector;
pub mod datasets;
pub mod events;
pub mod jobs;
pub mod kv;
pub(crate) mod limits;
pub mod loading;
pub mod namespaces;
pub mod nodes;
pub mod prefix;
pub mod ring;

use std::sync::Arc;
use std::time::Duration;

use ::cluster::Reach;
use cache::front::Cache;
use lifecycle::CancellationToken;

/// Everything handlers work on.
#[derive(Debug)]
pub struct App {
    /// The cache.
    pub cache: Cache,
    /// The auxiliaries, for what concerns more than one key.
    pub auxiliaries: auxiliaries::Auxiliaries,
    /// Backups of the cache.
    pub backups: backups::Backups,
    /// Quotas and usage of namespaces.
    pub namespaces: namespaces::Namespaces,
    /// What happens to entries.
    pub events: Arc<events::Events>,
    /// Changes of the ring that operators ask for.
    pub ring: ring::Ring,
    /// The control store's own members.
    pub cluster: cluster::Cluster,
    /// The key-value store.
    pub kv: kv::Kv,
    /// Datasets.
    pub datasets: datasets::Datasets,
    /// Jobs.
    pub jobs: jobs::Jobs,
    /// Members, ring and leader, as this master sees them.
    pub nodes: nodes::Nodes,
    /// Which auxiliaries this master can reach.
    pub reach: Arc<Reach>,
    /// Largest value of the cache.
    pub max_value_bytes: usize,
    /// Longest wait for somebody else's load of an entry.
    pub max_load_wait: Duration,
    /// Who callers are.
    pub identities: Arc<auth::Identities>,
    /// API keys.
    pub api_keys: auth::ApiKeys,
    /// Secret of the cluster's nodes.
    pub cluster_token: settings::Secret,
    /// Cancelled when the master stops: endless answers end with it.
    pub stop: CancellationToken,
}
