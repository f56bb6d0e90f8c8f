//! Puts a worker together.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::member::{Member, Role};
use cluster::{Encryption, LEASE_TTL, Registration, View, find_control};
use control::{ControlStore, Instrumented};
use lifecycle::Tasks;
use parking_lot::Mutex;
use query::{DataDirs, Engine, EngineSettings, ShuffleDir};
use telemetry::audit::Audit;
use telemetry::{Registry, new_registry};
use tokio::net::TcpListener;
use transport::callers::DeniedLog;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{BindError, ConnectionBounds, Gate, HttpMetrics, Layers, Listener, Readiness, bind, serve_within};
use transport::traces::Traces;

use crate::app::{Compute, Dependencies, InputBlobs, Keys, Worker};
use crate::background::poll;
use crate::metrics::WorkerMetrics;
use crate::{Error, Handle, Settings, http};

/// A shuffle file is opened at once; its bytes may take as long as their reader does.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Nobody sends a worker anything large.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Starts a worker that finds the control store by its settings.
///
/// # Errors
/// A taken port, a directory that cannot be used, a cluster that cannot be found or does not admit this node.
pub async fn start(settings: Settings) -> Result<Handle, Error> {
    refuse(&settings::Settings::problems(&settings))?;
    let whereabouts = settings
        .whereabouts()
        .map_err(|nowhere| Error::Settings(nowhere.to_string()))?;
    let node = Foundation::lay(&settings).await?;
    let store = find_control(&whereabouts, &node.peers, &node.encryption.etcd).await?;
    node.build(&settings, store).await
}

/// Starts a worker on a control store that is open already: tests.
///
/// # Errors
/// As [`start`], but for finding the cluster.
pub async fn start_with(settings: Settings, store: Arc<dyn ControlStore>) -> Result<Handle, Error> {
    refuse(&settings.problems_of_the_node())?;
    Foundation::lay(&settings).await?.build(&settings, store).await
}

fn refuse(problems: &[String]) -> Result<(), Error> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Settings(problems.join("; ")))
    }
}

/// What a node takes before it talks to anybody: a wrong port or directory is told at once.
struct Foundation {
    registry: Registry,
    encryption: Encryption,
    traces: Traces,
    peers: PeerClient,
    listener: TcpListener,
    address: SocketAddr,
    lock: File,
    shuffle: ShuffleDir,
    data_dirs: DataDirs,
    compute: Compute,
}

impl Foundation {
    async fn lay(settings: &Settings) -> Result<Self, Error> {
        let listener = bind((settings.bind, settings.port).into(), "PORT").await?;
        let address = listener.local_addr().map_err(|source| {
            let address = (settings.bind, settings.port).into();
            BindError::Other {
                address,
                setting: "PORT",
                source,
            }
        })?;
        let unusable = |source| Error::WorkDir {
            directory: settings.work_dir.clone(),
            source,
        };
        let lock = lock(&settings.work_dir)?;
        let shuffle = ShuffleDir::create_empty(settings.work_dir.join("shuffle")).map_err(unusable)?;
        let data_dirs = DataDirs::try_new(&settings.data_dirs.0).map_err(Error::DataDirs)?;
        let compute = Compute::start(settings.worker_slots as usize).map_err(Error::Threads)?;
        let registry = new_registry();
        let encryption = settings.encryption().open(&registry)?;
        let traces = Traces::open(&settings.traces, "elasticore-worker", &settings.node_id, &registry);
        let traces = traces.map_err(Error::Settings)?;
        let (token, policy) = (settings.cluster_token.expose(), PeerPolicy::default());
        let peers = PeerClient::encrypted(token, policy, encryption.node.clone(), &registry).traced(&traces.tracer);
        Ok(Self {
            registry,
            encryption,
            traces,
            peers,
            listener,
            address,
            lock,
            shuffle,
            data_dirs,
            compute,
        })
    }

    async fn build(self, settings: &Settings, store: Arc<dyn ControlStore>) -> Result<Handle, Error> {
        let Self {
            registry,
            encryption,
            traces,
            peers,
            listener,
            address,
            lock,
            shuffle,
            data_dirs,
            compute,
        } = self;
        let (tasks, readiness) = (Tasks::new(), Readiness::default());
        let tracer = traces.export(&tasks);
        let me = member(settings, address)?;
        let store: Arc<dyn ControlStore> = Arc::new(Instrumented::new(store, &registry));
        let view = Arc::new(View::new(Arc::clone(&store), &registry));
        let blobs = blobs::open(&settings.blobs(), peers.clone(), Arc::clone(&view));
        let blobs = blobs.map_err(|error| Error::Settings(error.to_string()))?;
        let engine = Engine::try_new(EngineSettings {
            memory_bytes: usize::try_from(settings.worker_memory.0).unwrap_or(usize::MAX),
            spill_dir: settings.work_dir.join("spill"),
            spill_limit_bytes: settings.spill_limit.0,
            data_dirs,
            remote: settings.remote(),
            kv: Some(Arc::new(Keys::new(Arc::clone(&store)))),
            blobs: Some(blobs::as_object_store(Arc::new(InputBlobs::new(Arc::clone(&blobs))))),
        });
        let engine = engine.map_err(|source| Error::WorkDir {
            directory: settings.work_dir.clone(),
            source,
        })?;
        let metrics = WorkerMetrics::new(&registry, settings.worker_slots, &engine, settings.work_dir.clone());
        let worker = Worker::new(Dependencies {
            me: me.clone(),
            slots: settings.worker_slots,
            engine,
            shuffle,
            compute,
            peers,
            blobs,
            view: Arc::clone(&view),
            metrics,
        });
        let routes = http::routes(Arc::clone(&worker), registry.clone(), readiness.clone());
        let metrics = HttpMetrics::new(&registry);
        let bounds = ConnectionBounds::new(settings.max_connections, &metrics).private();
        let layers = Layers::new(metrics, REQUEST_TIMEOUT, MAX_BODY_BYTES, settings.max_in_flight);
        // Who is turned away is told as masters do, in the ordinary log.
        let denials = Arc::new(DeniedLog::new(Audit::in_log(&settings.node_id, &registry)));
        let layers = layers
            .private(settings.cluster_token.expose())
            .gated(Arc::clone(&denials) as Arc<dyn Gate>)
            .traced(&tracer, |_, _| false);
        let router = layers.around(routes);
        tasks.supervise("denials", move |stop| Arc::clone(&denials).run(stop));

        let follow = Arc::clone(&view);
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&follow);
            async move { view.run(stop).await }
        });
        // Taken by the first start: a listener that panics is gone, and the node with it.
        let listener = Mutex::new(Some(Listener::new(listener, encryption.for_nodes())));
        encryption.follow(&tasks);
        tasks.supervise("listener", move |stop| {
            let (listener, router, bounds) = (listener.lock().take(), router.clone(), bounds.clone());
            async move {
                if let Some(listener) = listener {
                    serve_within(listener, router, bounds, stop).await;
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
        let polling = Arc::clone(&worker);
        tasks.supervise("poll", move |stop| poll::run(Arc::clone(&polling), stop));
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
        tracing::info!(%id, %address, slots = settings.worker_slots, memory = %settings.worker_memory, "worker started");
        Ok(Handle {
            id,
            address,
            tasks,
            readiness,
            registry,
            standing,
            worker,
            lock,
        })
    }
}

/// Makes the working directory ours for as long as the file is open.
fn lock(directory: &Path) -> Result<File, Error> {
    let unusable = |source| Error::WorkDir {
        directory: directory.to_owned(),
        source,
    };
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let file = File::create(directory.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::WorkDirInUse(directory.to_owned())),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn member(settings: &Settings, address: SocketAddr) -> Result<Member, Error> {
    let id = NodeId::try_new(&settings.node_id).map_err(|error| Error::Settings(error.to_string()))?;
    let address = format!("{}:{}", settings.advertise_addr, address.port());
    Ok(Member {
        zone: settings.zone.clone(),
        ..Member::begin(id, Role::Worker, address)
    })
}
