//! Use cases: what the master does, in its own words. Nothing here knows HTTP.

pub mod cache;
pub mod jobs;
pub mod kv;
pub mod nodes;

use lifecycle::CancellationToken;

/// Everything handlers work on.
#[derive(Debug)]
pub struct App {
    /// The cache.
    pub cache: cache::Cache,
    /// The key-value store.
    pub kv: kv::Kv,
    /// Jobs.
    pub jobs: jobs::Jobs,
    /// Members, ring and leader, as this master sees them.
    pub nodes: nodes::Nodes,
    /// Largest value of the cache.
    pub max_value_bytes: usize,
    /// Secret of the cluster's nodes.
    pub cluster_token: settings::Secret,
    /// Cancelled when the master stops: endless answers end with it.
    pub stop: CancellationToken,
}

impl App {
    /// Whether this is the cluster's token; takes the same time wherever they differ.
    #[must_use]
    pub fn is_cluster_token(&self, sent: &[u8]) -> bool {
        transport::server::is_token(sent, self.cluster_token.expose())
    }
}
