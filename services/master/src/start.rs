//! Puts a master together.

mod auth;
mod doors;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::member::{Member, Role};
use cache::Clock;
use cache::front::{Cache, Options};
use cache::net::{FramePeers, ViewRings};
use cluster::{LEASE_TTL, Leader, Leadership, Reach, Registration, RingKeeper, RingPolicy, View};
use control::{ControlStore, Instrumented};
use lifecycle::Tasks;
use telemetry::audit::Audit;
use telemetry::{Registry, new_registry};
use transport::frames::FrameClient;
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{Listener, Readiness, bind};
use transport::traces::Traces;

use crate::app::App;
use crate::app::audit::Auditor;
use crate::app::auth::ApiKeys;
use crate::app::auxiliaries::Auxiliaries;
use crate::app::backups::Backups;
use crate::app::collector::Collector;
use crate::app::datasets::Datasets;
use crate::app::events::Events;
use crate::app::jobs::{Dependencies, Jobs, Quotas};
use crate::app::kv::Kv;
use crate::app::namespaces::Namespaces;
use crate::app::nodes::Nodes;
use crate::app::ring::Ring;
use crate::background::ready;
use crate::{Handle, Settings, handle, http};
pub(crate) use doors::Doors;

/// What remains of a request's time when a wait within it is over.
const AFTER_WAIT: Duration = Duration::from_secs(1);

/// Starts a master and returns when it takes requests; it is ready for clients a moment later, when it knows the cluster. Masters
/// of the built-in control store wait for one another, as long as it takes, and answer `/ready` meanwhile.
///
/// # Errors
/// Taken ports, an unwritable directory, a damaged log, a control store that does not answer, a `NODE_ID` in use.
pub async fn start(settings: Settings) -> anyhow::Result<Handle> {
    let public = bind((settings.bind, settings.port).into(), "PORT").await?;
    let private = bind((settings.bind, settings.internal_port).into(), "INTERNAL_PORT").await?;
    let (public_address, private_address) = (public.local_addr()?, private.local_addr()?);
    let (registry, tasks, readiness) = (new_registry(), Tasks::new(), Readiness::default());
    // A start that fails, or is given up, leaves nothing running.
    let unfinished = tasks.token().clone().drop_guard();
    let me = member(&settings, public_address, private_address)?;
    let encryption = settings.encryption().open(&registry)?;
    encryption.follow(&tasks);
    let traces = Traces::open(&settings.traces, "elasticore-master", &settings.node_id, &registry);
    let tracer = traces.map_err(anyhow::Error::msg)?.export(&tasks);
    let (token, policy) = (settings.cluster_token.expose(), PeerPolicy::default());
    let peers = PeerClient::encrypted(token, policy, encryption.node.clone(), &registry).traced(&tracer);
    let auditor = Arc::new(Auditor::new(
        Audit::open(&settings.audit_log, &settings.node_id, &registry)?,
        &settings.node_id,
    ));
    let identities = auth::identities(&settings)?;
    auth::spawn_tokens(&tasks, &identities);
    let front = http::Front::new(Arc::clone(&identities), settings.cluster_token.clone(), &registry);
    let entrance = http::Entrance::new(front, &settings, Arc::clone(&auditor), &registry);
    let public = Listener::new(public, encryption.for_everybody().filter(|_| settings.public_tls.is_on()));
    let private = Listener::new(private, encryption.for_nodes());
    let doors = Doors::open(
        &settings,
        (public, private),
        (Arc::new(entrance), auditor.denials()),
        &tracer,
        (&registry, &readiness),
        &tasks,
    );

    let (reached, etcd) = ((me.address.as_str(), &peers), &encryption.etcd);
    let opened = store::open(&settings, reached, etcd, &doors, (&registry, &readiness), tasks.token()).await?;
    let (cluster, raft, raft_routes) = (opened.cluster, opened.raft, opened.routes);
    let store: Arc<dyn ControlStore> = Arc::new(Instrumented::new(opened.engine, &registry));
    auth::spawn_keys(&tasks, &identities, &store);
    let view = Arc::new(View::new(Arc::clone(&store), &registry));
    let leadership = Arc::new(Leadership::new(Arc::clone(&store), candidate(&me), LEASE_TTL, &registry));
    let blobs = blobs::open(&settings.blobs(), peers.clone(), Arc::clone(&view))?;
    let collector = Collector::new(Arc::clone(&store), Arc::clone(&blobs), settings.blob_grace.0, &registry);
    let datasets = Arc::new(Datasets::new(Arc::clone(&store), Arc::clone(&blobs)));
    let jobs = Jobs::new(Dependencies {
        store: Arc::clone(&store),
        leadership: leadership.subscribe(),
        view: Arc::clone(&view),
        peers: peers.clone(),
        blobs,
        worker_wait: settings.worker_wait.0,
        result_ttl: settings.result_ttl.0,
        quotas: Quotas {
            queued_jobs: settings.max_queued_jobs,
            queued_bytes: usize::try_from(settings.max_queued_job_bytes.0).unwrap_or(usize::MAX),
            running_jobs: settings.max_running_jobs,
            stored_jobs: settings.max_stored_jobs,
            stored_bytes: settings.max_stored_results.0,
        },
        dataset_files: Arc::clone(&datasets) as _,
        dataset_output: Arc::clone(&datasets) as _,
        registry: registry.clone(),
    });
    let clock = Clock::default();
    let frames = FrameClient::new(peers.clone());
    let frames = frames.telling({
        let clock = clock.clone();
        move || clock.now_ms()
    });
    let auxiliaries = Auxiliaries::new(Arc::clone(&view), peers.clone());
    let app = Arc::new(App {
        cache: cache(&settings, &view, &frames, clock, &registry),
        backups: Backups::new(auxiliaries.clone()),
        namespaces: Namespaces::new(Arc::clone(&store), auxiliaries.clone()),
        events: Events::new(auxiliaries.clone()),
        ring: Ring::new(Arc::clone(&store), auxiliaries.clone()),
        kv: Kv::new(Arc::clone(&store)),
        datasets: Datasets::clone(&datasets),
        jobs,
        nodes: Nodes::new(auxiliaries.clone(), tasks.clone(), me.id.clone(), &settings, &me.address),
        auxiliaries,
        cluster,
        reach: Arc::new(Reach::new(Arc::clone(&view), peers.clone(), None)),
        max_value_bytes: max_value_bytes(&settings),
        max_load_wait: settings.request_timeout.0.saturating_sub(AFTER_WAIT),
        api_keys: ApiKeys::new(Arc::clone(&store), Arc::clone(identities.keyring())),
        identities,
        cluster_token: settings.cluster_token.clone(),
        stop: tasks.token().clone(),
    });
    spawn_audit(&tasks, &auditor, &view, &leadership);

    let control = control::server::router_until(Arc::clone(&store), tasks.token().clone());
    let routes = http::private(Arc::clone(&app), control, registry.clone(), readiness.clone());
    doors.set_private(routes.merge(raft_routes));
    doors.set_public(http::public(Arc::clone(&app), registry.clone(), readiness.clone()));
    spawn_readiness(&tasks, &store, &app, &view, &readiness);

    let registration = tokio::select! {
        registered = Registration::register(Arc::clone(&store), me, LEASE_TTL) => Arc::new(registered?),
        error = handle::engine_stopped(raft.as_ref()) => return Err(error.into()),
    };
    let standing = registration.standing();
    let policy = RingPolicy {
        virtual_nodes: settings.virtual_nodes,
        replicas: settings.cache_replicas,
    };
    let keeper = RingKeeper::new(
        store,
        Arc::clone(&view),
        peers.clone(),
        policy,
        settings.health_check_interval.0,
        &registry,
    );
    spawn_collector(&tasks, collector, &leadership);
    spawn_cache(&tasks, &app, &leadership, settings.backup_interval.0, &auditor);
    spawn_background(&tasks, registration, Arc::clone(&view), leadership, keeper, app);
    let known = Arc::clone(&view);
    tasks.supervise("departed-peers", move |stop| {
        let (view, peers, frames) = (Arc::clone(&known), peers.clone(), frames.clone());
        async move {
            tokio::join!(
                view.forget_departed(peers, stop.clone()),
                cache::net::forget_departed(&view, &frames, stop)
            );
        }
    });
    unfinished.disarm();
    tracing::info!(public = %public_address, private = %private_address, "master started");
    Ok(Handle {
        public: public_address,
        private: private_address,
        tasks,
        readiness,
        doors,
        view,
        standing,
        raft,
        auditor,
    })
}

/// The cache over the auxiliaries of the ring.
fn cache(settings: &Settings, view: &Arc<View>, frames: &FrameClient, clock: Clock, registry: &Registry) -> Cache {
    let (peers, rings) = (FramePeers(frames.clone()), ViewRings(Arc::clone(view)));
    let options = Options {
        compress_above: usize::try_from(settings.compress_above.0).unwrap_or(usize::MAX),
        max_value_bytes: max_value_bytes(settings),
        ..Options::default()
    };
    Cache::new(Arc::new(peers), Arc::new(rings), clock, options, registry)
}

fn max_value_bytes(settings: &Settings) -> usize {
    usize::try_from(settings.max_value_bytes.0).unwrap_or(usize::MAX)
}

fn member(settings: &Settings, public: SocketAddr, private: SocketAddr) -> anyhow::Result<Member> {
    let id = NodeId::try_new(&settings.node_id)?;
    let address = format!("{}:{}", settings.advertise_addr, private.port());
    Ok(Member {
        public_address: Some(format!("{}:{}", settings.advertise_addr, public.port())),
        zone: settings.zone.clone(),
        ..Member::begin(id, Role::Master, address)
    })
}

fn candidate(me: &Member) -> Leader {
    Leader {
        node_id: me.id.clone(),
        boot_id: me.boot_id,
        address: me.address.clone(),
        public_address: me.public_address.clone(),
    }
}

fn spawn_readiness(tasks: &Tasks, store: &Arc<dyn ControlStore>, app: &Arc<App>, view: &Arc<View>, readiness: &Readiness) {
    let (store, app, view, readiness) = (Arc::clone(store), Arc::clone(app), Arc::clone(view), readiness.clone());
    tasks.supervise("readiness", move |stop| {
        let (store, app, view, readiness) = (Arc::clone(&store), Arc::clone(&app), Arc::clone(&view), readiness.clone());
        async move { ready::watch(store, &app.cluster, &view, &readiness, stop).await }
    });
}

fn spawn_audit(tasks: &Tasks, auditor: &Arc<Auditor>, view: &Arc<View>, leadership: &Leadership) {
    let (auditor, view, leading) = (Arc::clone(auditor), Arc::clone(view), leadership.subscribe());
    tasks.supervise("audit", move |stop| {
        let (auditor, view, leading) = (Arc::clone(&auditor), Arc::clone(&view), leading.clone());
        async move { auditor.run(&view, leading, stop).await }
    });
}

fn spawn_cache(tasks: &Tasks, app: &Arc<App>, leadership: &Leadership, backup_interval: Duration, auditor: &Arc<Auditor>) {
    let reach = Arc::clone(&app.reach);
    tasks.supervise("reach", move |stop| {
        let reach = Arc::clone(&reach);
        async move { reach.run(stop).await }
    });
    let events = Arc::clone(&app.events);
    let cache = Arc::clone(app);
    tasks.supervise("pulse", move |stop| {
        let app = Arc::clone(&cache);
        async move {
            tokio::select! {
                () = app.cache.watch_pulse() => {}
                () = stop.cancelled() => {}
            }
        }
    });
    tasks.supervise("events", move |stop| Arc::clone(&events).run(stop));
    if !backup_interval.is_zero() {
        let (backups, leading, auditor) = (app.backups.clone(), leadership.subscribe(), Arc::clone(auditor));
        tasks.supervise("backups", move |stop| {
            let (backups, leading, auditor) = (backups.clone(), leading.clone(), Arc::clone(&auditor));
            async move { backups.run(leading, backup_interval, &auditor, stop).await }
        });
    }
}

fn spawn_collector(tasks: &Tasks, collector: Collector, leadership: &Leadership) {
    let (collector, leading) = (Arc::new(collector), leadership.subscribe());
    tasks.supervise("blob-collector", move |stop| {
        let (collector, leading) = (Arc::clone(&collector), leading.clone());
        async move { collector.run(leading, stop).await }
    });
}

fn spawn_background(
    tasks: &Tasks,
    registration: Arc<Registration>,
    view: Arc<View>,
    leadership: Arc<Leadership>,
    keeper: RingKeeper,
    app: Arc<App>,
) {
    let (keeper, leading) = (Arc::new(keeper), leadership.subscribe());
    tasks.supervise("view", move |stop| {
        let view = Arc::clone(&view);
        async move { view.run(stop).await }
    });
    tasks.supervise("membership", move |stop| {
        let registration = Arc::clone(&registration);
        async move { registration.keep(stop).await }
    });
    tasks.supervise("leadership", move |stop| {
        let leadership = Arc::clone(&leadership);
        async move { leadership.run(stop).await }
    });
    tasks.supervise("ring-keeper", move |stop| {
        let (keeper, leading) = (Arc::clone(&keeper), leading.clone());
        async move { keeper.run(leading, stop).await }
    });
    tasks.supervise("scheduler", move |stop| {
        let app = Arc::clone(&app);
        async move { app.jobs.run(stop).await }
    });
}
