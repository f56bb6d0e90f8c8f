//! Puts an auxiliary together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::cache::MAX_FRAME_BYTES;
use api::member::{Member, Role};
use api::{BootId, NodeId};
use cluster::{ControlEndpoints, ControlEngine, LEASE_TTL, Registration, View, Whereabouts, find_control};
use control::{ControlStore, Instrumented};
use lifecycle::Tasks;
use parking_lot::Mutex;
use store::blob::BlobStore;
use store::cache::{Bounds, Cache};
use telemetry::{Registry, new_registry};
use tokio::net::TcpListener;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{HttpMetrics, Layers, Readiness, bind, serve};

use crate::app::App;
use crate::app::batch::Batches;
use crate::app::gate::Gate;
use crate::background::{follow_ring, sweep};
use crate::metrics::{CacheCollector, CacheMetrics};
use crate::{Error, Handle, Settings, http};

/// Uploads of large blobs take their time; callers have deadlines of their own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Room for what a frame has besides a largest value.
const FRAME_OVERHEAD: usize = 64 << 10;

/// Starts an auxiliary that finds the control store by its settings.
///
/// # Errors
/// A taken port, a directory that cannot be used, a cluster that cannot be found or does not admit this node.
pub async fn start(settings: Settings) -> Result<Handle, Error> {
    let problems = settings::Settings::problems(&settings);
    refuse(problems)?;
    let registry = new_registry();
    let peers = PeerClient::new(settings.cluster_token.expose(), PeerPolicy::default(), &registry);
    let node = Foundation::lay(&settings, registry).await?;
    let store = find_control(&whereabouts(&settings), &peers).await?;
    node.build(&settings, store).await
}

/// Starts an auxiliary on a control store that is open already: the one-process stack, and tests.
///
/// # Errors
/// As [`start`], but for finding the cluster.
pub async fn start_with(settings: Settings, store: Arc<dyn ControlStore>) -> Result<Handle, Error> {
    refuse(settings.problems_of_the_node())?;
    Foundation::lay(&settings, new_registry())
        .await?
        .build(&settings, store)
        .await
}

fn refuse(problems: Vec<String>) -> Result<(), Error> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Settings(problems.join("; ")))
    }
}

/// What a node takes before it talks to anybody: a wrong port or directory is told at once.
struct Foundation {
    registry: Registry,
    listener: TcpListener,
    address: SocketAddr,
    blobs: BlobStore,
}

impl Foundation {
    async fn lay(settings: &Settings, registry: Registry) -> Result<Self, Error> {
        let listener = bind((settings.bind, settings.port).into(), "PORT").await?;
        let address = listener.local_addr().map_err(|source| {
            let address = (settings.bind, settings.port).into();
            transport::server::BindError::Other {
                address,
                setting: "PORT",
                source,
            }
        })?;
        let blobs = BlobStore::open(&settings.blob_dir).await;
        let blobs = blobs.map_err(|source| Error::Blobs {
            directory: settings.blob_dir.clone(),
            source,
        })?;
        Ok(Self {
            registry,
            listener,
            address,
            blobs,
        })
    }

    async fn build(self, settings: &Settings, store: Arc<dyn ControlStore>) -> Result<Handle, Error> {
        let Self {
            registry,
            listener,
            address,
            blobs,
        } = self;
        let (tasks, readiness) = (Tasks::new(), Readiness::default());
        let me = member(settings, address)?;
        let store: Arc<dyn ControlStore> = Arc::new(Instrumented::new(store, &registry));
        let view = Arc::new(View::new(Arc::clone(&store), &registry));
        let bytes = usize::try_from(settings.cache_max_bytes.0).unwrap_or(usize::MAX);
        let cache = Arc::new(Cache::new(Bounds {
            entries: settings.cache_size,
            bytes,
        }));
        let gate = Arc::new(Gate::default());
        CacheCollector::register(Arc::clone(&cache), &registry);
        let batches = Batches {
            cache: Arc::clone(&cache),
            gate: Arc::clone(&gate),
            view: Arc::clone(&view),
            boot_id: me.boot_id,
            metrics: CacheMetrics::new(&registry),
        };
        let largest = usize::try_from(settings.max_value_bytes.0)
            .unwrap_or(usize::MAX)
            .saturating_add(FRAME_OVERHEAD);
        let max_frame_bytes = largest.max(MAX_FRAME_BYTES);
        let app = App::new(batches, blobs, max_frame_bytes, &registry);
        let routes = http::routes(app, registry.clone(), readiness.clone());
        let layers = Layers::new(
            HttpMetrics::new(&registry),
            REQUEST_TIMEOUT,
            max_frame_bytes,
            settings.max_in_flight,
        );
        let router = layers.private(settings.cluster_token.expose()).around(routes);

        let follow = Arc::clone(&view);
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&follow);
            async move { view.run(stop).await }
        });
        let (me_id, seen, swept) = (me.id.clone(), Arc::clone(&view), Arc::clone(&cache));
        tasks.supervise("ring", move |stop| {
            follow_ring::run(Arc::clone(&seen), Arc::clone(&gate), Arc::clone(&cache), me_id.clone(), stop)
        });
        tasks.supervise("sweeper", move |stop| sweep::run(Arc::clone(&swept), stop));
        // Taken by the first start: a listener that panics is gone, and the node with it.
        let listener = Mutex::new(Some(listener));
        tasks.supervise("listener", move |stop| {
            let (listener, router) = (listener.lock().take(), router.clone());
            async move {
                if let Some(listener) = listener {
                    serve(listener, router, stop).await;
                }
            }
        });

        let id = me.id.clone();
        let registration = match Registration::register(store, me, LEASE_TTL).await {
            Ok(registration) => Arc::new(registration),
            Err(error) => {
                tasks.shutdown(Duration::from_secs(1)).await;
                return Err(error.into());
            }
        };
        let standing = registration.standing();
        tasks.supervise("membership", move |stop| {
            let registration = Arc::clone(&registration);
            async move { registration.keep(stop).await }
        });
        let ready = readiness.clone();
        tasks.supervise("readiness", move |stop| {
            let (view, ready) = (Arc::clone(&view), ready.clone());
            async move {
                tokio::select! {
                    () = view.synced() => ready.ready(),
                    () = stop.cancelled() => {}
                }
            }
        });
        tracing::info!(%id, %address, "auxiliary started");
        Ok(Handle {
            id,
            address,
            tasks,
            readiness,
            registry,
            standing,
        })
    }
}

fn member(settings: &Settings, address: SocketAddr) -> Result<Member, Error> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Member {
        id: NodeId::try_new(&settings.node_id).map_err(|error| Error::Settings(error.to_string()))?,
        role: Role::Auxiliary,
        boot_id: BootId::new_random(),
        address: format!("{}:{}", settings.advertise_addr, address.port()),
        public_address: None,
        zone: settings.zone.clone(),
        weight: settings.weight,
        started_at_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn whereabouts(settings: &Settings) -> Whereabouts {
    match (&settings.master_address, settings.control_store) {
        (Some(address), _) => Whereabouts::Master(address.clone()),
        (None, ControlEngine::Raft) => Whereabouts::Control(ControlEndpoints::Remote {
            masters: settings.masters.0.clone(),
        }),
        (None, ControlEngine::Etcd) => Whereabouts::Control(ControlEndpoints::Etcd {
            endpoints: settings.etcd_endpoints.0.clone(),
        }),
    }
}
