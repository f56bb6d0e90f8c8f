//! A master's use cases over parts that a test chose.

use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use blobs::Replicated;
use cache::front::{Cache, Options};
use cache::net::ViewRings;
use cache::{Clock, Peers};
use cluster::{LeaderState, Reach, View};
use control::ControlStore;
use lifecycle::Tasks;
use telemetry::Registry;
use tokio::sync::watch;
use transport::peer::PeerClient;

use crate::Settings;
use crate::app::App;
use crate::app::auth::{ApiKeys, Identities, Keyring};
use crate::app::auxiliaries::Auxiliaries;
use crate::app::backups::Backups;
use crate::app::cluster::Cluster;
use crate::app::datasets::Datasets;
use crate::app::events::Events;
use crate::app::jobs::{DatasetFiles, DatasetOutput, Dependencies, Jobs, Quotas};
use crate::app::kv::Kv;
use crate::app::namespaces::Namespaces;
use crate::app::nodes::Nodes;
use crate::app::ring::Ring;

/// Datasets as a test plays them.
pub(in crate::http) trait JobDatasets: DatasetFiles + DatasetOutput {}

impl<T: DatasetFiles + DatasetOutput> JobDatasets for T {}

/// What differs between tests.
pub(in crate::http) struct Parts {
    pub(in crate::http) store: Arc<dyn ControlStore>,
    pub(in crate::http) cluster: Cluster,
    pub(in crate::http) view: Arc<View>,
    pub(in crate::http) leadership: watch::Receiver<LeaderState>,
    pub(in crate::http) peers: PeerClient,
    /// How auxiliaries are called for single keys.
    pub(in crate::http) cache_peers: Arc<dyn Peers>,
    pub(in crate::http) name: NodeId,
    pub(in crate::http) address: String,
    pub(in crate::http) tasks: Tasks,
    pub(in crate::http) registry: Registry,
    pub(in crate::http) result_ttl: Duration,
    pub(in crate::http) quotas: Quotas,
    /// Datasets as jobs see them, if they are not the real ones.
    pub(in crate::http) datasets: Option<Arc<dyn JobDatasets>>,
}

/// Wired as `start` does it.
pub(in crate::http) fn app(parts: Parts) -> Arc<App> {
    let Parts {
        store,
        cluster,
        view,
        leadership,
        peers,
        cache_peers,
        name,
        address,
        tasks,
        registry,
        result_ttl,
        quotas,
        datasets,
    } = parts;
    let stop = tasks.token().clone();
    let auxiliaries = Auxiliaries::new(Arc::clone(&view), peers.clone());
    let rings = Arc::new(ViewRings(Arc::clone(&view)));
    let options = Options {
        deadline: Duration::from_secs(1),
        ..Options::default()
    };
    let blobs = Arc::new(Replicated::new(peers.clone(), Arc::clone(&view)));
    let real = Datasets::new(Arc::clone(&store), Arc::<Replicated>::clone(&blobs));
    let datasets = datasets.unwrap_or_else(|| Arc::new(real.clone()));
    let keyring = Arc::new(Keyring::new(Duration::from_secs(60)));
    Arc::new(App {
        api_keys: ApiKeys::new(Arc::clone(&store), Arc::clone(&keyring)),
        identities: Arc::new(Identities::off(keyring)),
        datasets: real,
        cache: Cache::new(cache_peers, rings, Clock::default(), options, &registry),
        backups: Backups::new(auxiliaries.clone()),
        namespaces: Namespaces::new(Arc::clone(&store), auxiliaries.clone()),
        events: Events::new(auxiliaries.clone()),
        ring: Ring::new(Arc::clone(&store), auxiliaries.clone()),
        kv: Kv::new(Arc::clone(&store)),
        reach: Arc::new(Reach::new(Arc::clone(&view), peers.clone(), None)),
        jobs: Jobs::new(Dependencies {
            store,
            leadership,
            view,
            peers,
            blobs,
            worker_wait: Duration::from_secs(60),
            result_ttl,
            quotas,
            dataset_files: Arc::clone(&datasets) as Arc<dyn DatasetFiles>,
            dataset_output: datasets,
            registry,
        }),
        nodes: Nodes::new(auxiliaries.clone(), tasks, name, &Settings::default(), &address),
        auxiliaries,
        cluster,
        max_value_bytes: 1024,
        max_load_wait: Duration::from_secs(9),
        cluster_token: settings::Secret::new("secret"),
        stop,
    })
}
