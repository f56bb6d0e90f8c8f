//! Puts an auxiliary together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::cache::MAX_FRAME_BYTES;
use api::member::{Member, Role};
use cache::Clock;
use cache::net::{FramePeers, ViewRings};
use cache::owner::{Identity, Options, Owner};
use cluster::{Encryption, LEASE_TTL, Reach, Registration, View, find_control};
use control::{ControlStore, Instrumented};
use lifecycle::Tasks;
use parking_lot::Mutex;
use store::backup::BackupDir;
use store::blob::{BlobName, BlobStore, Limits};
use store::cache::{Bounds, Cache, Policy};
use telemetry::audit::Audit;
use telemetry::{Registry, new_registry};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use transport::callers::DeniedLog;
use transport::frames::{FrameClient, FrameMetrics, PATH, frames_route};
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{ConnectionBounds, Gate, HttpMetrics, Layers, Listener, Readiness, bind, serve_within};
use transport::traces::Traces;

use crate::app::backups::Backups;
use crate::app::blobs::{BlobPolicy, Blobs};
use crate::app::{App, Frames};
use crate::background::{backups, blobs as blob_tasks, quotas, readiness, sweep};
use crate::metrics::{BlobCollector, BlobMetrics, CacheCollector, NamespaceCollector};
use crate::settings::CachePolicy;
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
    let whereabouts = settings
        .whereabouts()
        .map_err(|nowhere| Error::Settings(nowhere.to_string()))?;
    let node = Foundation::lay(&settings, new_registry()).await?;
    let control = find_control(&whereabouts, &node.peers, &node.encryption.etcd).await?;
    node.build(&settings, control).await
}

/// Starts an auxiliary on a control store that is open already: the one-process stack, and tests.
///
/// # Errors
/// As [`start`], but for finding the cluster.
pub async fn start_with(settings: Settings, control: Arc<dyn ControlStore>) -> Result<Handle, Error> {
    refuse(settings.problems_of_the_node())?;
    Foundation::lay(&settings, new_registry())
        .await?
        .build(&settings, control)
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
    backups: BackupDir,
    encryption: Encryption,
    traces: Traces,
    peers: PeerClient,
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
        let limits = Limits {
            max_bytes: settings.blob_max_bytes.0,
            min_free: settings.blob_min_free.0,
        };
        let blobs = BlobStore::open_within(&settings.blob_dir, limits).await;
        let blobs = blobs.map_err(|source| Error::Blobs {
            directory: settings.blob_dir.clone(),
            source,
        })?;
        let backups = BackupDir::open(&settings.backup_dir, settings.backup_keep).map_err(|source| Error::Backups {
            directory: settings.backup_dir.clone(),
            source,
        })?;
        let encryption = settings.encryption().open(&registry)?;
        let traces = Traces::open(&settings.traces, "elasticore-auxiliary", &settings.node_id, &registry);
        let traces = traces.map_err(Error::Settings)?;
        let (token, policy) = (settings.cluster_token.expose(), PeerPolicy::default());
        let peers = PeerClient::encrypted(token, policy, encryption.node.clone(), &registry).traced(&traces.tracer);
        Ok(Self {
            registry,
            listener,
            address,
            blobs,
            backups,
            encryption,
            traces,
            peers,
        })
    }

    async fn build(self, settings: &Settings, control: Arc<dyn ControlStore>) -> Result<Handle, Error> {
        let (tasks, readiness, clock) = (Tasks::new(), Readiness::default(), Clock::default());
        let tracer = self.traces.export(&tasks);
        let member = member(settings, self.address)?;
        let me = Identity {
            id: member.id.clone(),
            boot_id: member.boot_id,
        };
        let control: Arc<dyn ControlStore> = Arc::new(Instrumented::new(control, &self.registry));
        let view = Arc::new(View::new(Arc::clone(&control), &self.registry));
        let store = Arc::new(Cache::new(bounds(settings)));
        CacheCollector::register(Arc::clone(&store), &self.registry);
        NamespaceCollector::register(Arc::clone(&store), &self.registry);
        let backups = Arc::new(Backups::new(self.backups, me.clone(), clock.clone(), &self.registry));
        if let Err(error) = backups.load_newest(&store).await {
            // Better an empty node, which its peers fill, than none.
            tracing::error!(%error, "no backup could be loaded; beginning without");
        }
        let frames = FrameClient::new(self.peers.clone());
        let frames = frames.telling({
            let clock = clock.clone();
            move || clock.now_ms()
        });
        let owner = Owner::new(
            me.clone(),
            store,
            Arc::new(FramePeers(frames.clone())),
            Arc::new(ViewRings(Arc::clone(&view))),
            clock.clone(),
            Options {
                sync_bytes_per_second: settings.sync_bytes_per_second.0,
                ..Options::default()
            },
            &self.registry,
        );
        let reach = Arc::new(Reach::new(Arc::clone(&view), self.peers.clone(), Some(me.id.clone())));
        BlobCollector::register(self.blobs.clone(), &self.registry);
        let (blobs, damaged) = Blobs::new(
            self.blobs,
            me.clone(),
            self.peers.clone(),
            Arc::clone(&view),
            blob_policy(settings),
            BlobMetrics::new(&self.registry),
        );
        let app = Arc::new(App {
            owner: Arc::clone(&owner),
            backups: Arc::clone(&backups),
            reach: Arc::clone(&reach),
            blobs: Arc::clone(&blobs),
            boot_id: me.boot_id,
            stop: tasks.token().clone(),
        });
        let largest = usize::try_from(settings.max_value_bytes.0).unwrap_or(usize::MAX);
        let max_frame_bytes = largest.saturating_add(FRAME_OVERHEAD).max(MAX_FRAME_BYTES);
        let handler = Arc::new(Frames::new(Arc::clone(&owner), clock.clone()));
        let routes = http::routes(
            app,
            frames_route(
                PATH,
                handler,
                FrameMetrics::new(&self.registry).traced(&tracer),
                max_frame_bytes,
                tasks.token().clone(),
            ),
            self.registry.clone(),
            readiness.clone(),
        );
        let metrics = HttpMetrics::new(&self.registry);
        let bounds = ConnectionBounds::new(settings.max_connections, &metrics).private();
        let layers = Layers::new(metrics, REQUEST_TIMEOUT, max_frame_bytes, settings.max_in_flight);
        let layers = layers.unhurried(http::is_unhurried).traced(&tracer, |_, _| false);
        // Who is turned away is told as masters do, in the ordinary log.
        let denials = Arc::new(DeniedLog::new(Audit::in_log(&settings.node_id, &self.registry)));
        let layers = layers
            .private(settings.cluster_token.expose())
            .gated(Arc::clone(&denials) as Arc<dyn Gate>);
        let router = layers.around(routes);
        tasks.supervise("denials", move |stop| Arc::clone(&denials).run(stop));

        let listener = Listener::new(self.listener, self.encryption.for_nodes());
        spawn_listener(&tasks, listener, router, bounds);
        self.encryption.follow(&tasks);
        let known = Arc::clone(&view);
        tasks.supervise("view", move |stop| {
            let view = Arc::clone(&known);
            async move { view.run(stop).await }
        });
        let (peers, known) = (self.peers, Arc::clone(&view));
        tasks.supervise("departed-peers", move |stop| {
            let (view, peers, frames) = (Arc::clone(&known), peers.clone(), frames.clone());
            async move {
                tokio::join!(
                    view.forget_departed(peers, stop.clone()),
                    cache::net::forget_departed(&view, &frames, stop)
                );
            }
        });
        let pinging = Arc::clone(&reach);
        tasks.supervise("reach", move |stop| {
            let reach = Arc::clone(&pinging);
            async move { reach.run(stop).await }
        });
        spawn_cache(&tasks, settings, &owner, &backups, Arc::clone(&control), clock);
        spawn_blobs(&tasks, &blobs, damaged);

        let registration = match Registration::register(control, member, LEASE_TTL).await {
            Ok(registration) => Arc::new(registration),
            Err(error) => {
                tasks.shutdown(Duration::from_secs(1)).await;
                return Err(error.into());
            }
        };
        let standing = registration.standing();
        // Cancelled before everything else: the node leaves the cluster while it still answers.
        let leaving = tasks.token().child_token();
        let leave = leaving.clone();
        tasks.supervise("membership", move |_| {
            let (registration, leave) = (Arc::clone(&registration), leave.clone());
            async move { registration.keep(leave).await }
        });
        readiness::spawn(
            &tasks,
            me.clone(),
            view,
            Arc::clone(&owner),
            readiness.clone(),
            leaving.clone(),
        );
        tracing::info!(id = %me.id, address = %self.address, "auxiliary started");
        Ok(Handle {
            id: me.id,
            address: self.address,
            tasks,
            readiness,
            registry: self.registry,
            standing,
            leaving,
            owner,
            backups,
        })
    }
}

fn spawn_listener(tasks: &Tasks, listener: Listener, router: axum::Router, bounds: ConnectionBounds) {
    // Taken by the first start: a listener that panics is gone, and the node with it.
    let listener = Mutex::new(Some(listener));
    tasks.supervise("listener", move |stop| {
        let (listener, router, bounds) = (listener.lock().take(), router.clone(), bounds.clone());
        async move {
            if let Some(listener) = listener {
                serve_within(listener, router, bounds, stop).await;
            }
        }
    });
}

fn spawn_cache(
    tasks: &Tasks,
    settings: &Settings,
    owner: &Arc<Owner>,
    written: &Arc<Backups>,
    control: Arc<dyn ControlStore>,
    clock: Clock,
) {
    let follower = Arc::clone(owner);
    tasks.supervise("ring", move |stop| {
        let owner = Arc::clone(&follower);
        async move { owner.follow(stop).await }
    });
    let puller = Arc::clone(owner);
    tasks.supervise("range-sync", move |stop| Arc::clone(&puller).sync(stop));
    let swept = Arc::clone(owner);
    tasks.supervise("sweeper", move |stop| sweep::run(Arc::clone(&swept), clock.clone(), stop));
    let bounded = Arc::clone(owner);
    tasks.supervise("quotas", move |stop| {
        quotas::run(Arc::clone(&control), Arc::clone(&bounded), stop)
    });
    let every = settings.backup_interval.0;
    if !every.is_zero() {
        let (written, owner) = (Arc::clone(written), Arc::clone(owner));
        tasks.supervise("backups", move |stop| {
            backups::run(Arc::clone(&written), Arc::clone(&owner), every, stop)
        });
    }
}

fn spawn_blobs(tasks: &Tasks, blobs: &Arc<Blobs>, damaged: mpsc::Receiver<BlobName>) {
    let repaired = Arc::clone(blobs);
    tasks.supervise("blob-repair", move |stop| blob_tasks::repair(Arc::clone(&repaired), stop));
    let (healed, damaged) = (Arc::clone(blobs), Arc::new(Mutex::new(Some(damaged))));
    tasks.supervise("blob-heal", move |stop| {
        blob_tasks::heal(Arc::clone(&healed), Arc::clone(&damaged), stop)
    });
    if !blobs.policy.scrub_interval.is_zero() {
        let scrubbed = Arc::clone(blobs);
        tasks.supervise("blob-scrub", move |stop| blob_tasks::scrub(Arc::clone(&scrubbed), stop));
    }
}

fn blob_policy(settings: &Settings) -> BlobPolicy {
    BlobPolicy {
        replicas: settings.blob_replicas as usize,
        repair_after: settings.blob_repair_after.0,
        repair_rate: settings.sync_bytes_per_second.0,
        scrub_interval: settings.blob_scrub_interval.0,
        scrub_rate: settings.blob_scrub_bytes_per_second.0,
    }
}

fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        entries: settings.cache_size,
        bytes: usize::try_from(settings.cache_max_bytes.0).unwrap_or(usize::MAX),
        policy: match settings.cache_policy {
            CachePolicy::Lru => Policy::Lru,
            CachePolicy::S3Fifo => Policy::S3Fifo,
        },
    }
}

fn member(settings: &Settings, address: SocketAddr) -> Result<Member, Error> {
    let id = NodeId::try_new(&settings.node_id).map_err(|error| Error::Settings(error.to_string()))?;
    let address = format!("{}:{}", settings.advertise_addr, address.port());
    Ok(Member {
        zone: settings.zone.clone(),
        weight: settings.weight,
        ..Member::begin(id, Role::Auxiliary, address)
    })
}
