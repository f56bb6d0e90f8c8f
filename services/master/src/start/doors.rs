//! Both listeners, answering from the first moment: masters of the built-in engine wait for one another before they can
//! start, and clients that come too early are told so at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use lifecycle::Tasks;
use parking_lot::Mutex;
use telemetry::Registry;
use telemetry::traces::Tracer;
use transport::ApiError;
use transport::server::{ConnectionBounds, Gate, HttpMetrics, Layers, Listener, Readiness, Routes, operations, serve_within};

use crate::Settings;

/// Private calls may be slow on purpose (long polls, watches, shuffles): their callers have deadlines.
const PRIVATE_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest body of a request: a batch, or a report with a plan.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Two listeners whose routes change when the master has started.
pub(super) struct Doors {
    public: Routes,
    private: Routes,
    gate: Arc<dyn Gate>,
    private_gate: Arc<dyn Gate>,
    tracer: Tracer,
    metrics: HttpMetrics,
    registry: Registry,
    readiness: Readiness,
    token: settings::Secret,
    request_timeout: Duration,
    max_in_flight: usize,
}

impl Doors {
    /// Listens: says whether the master is ready, and 503 to everything else. The gates, of the public and of the private
    /// listener, are before the routes from the first moment.
    pub(super) fn open(
        settings: &Settings,
        (public, private): (Listener, Listener),
        (gate, private_gate): (Arc<dyn Gate>, Arc<dyn Gate>),
        tracer: &Tracer,
        (registry, readiness): (&Registry, &Readiness),
        tasks: &Tasks,
    ) -> Self {
        let metrics = HttpMetrics::new(registry);
        let bounds = ConnectionBounds::new(settings.max_connections, &metrics);
        let doors = Self {
            public: Routes::new(Router::new()),
            private: Routes::new(Router::new()),
            gate,
            private_gate,
            tracer: tracer.clone(),
            metrics,
            registry: registry.clone(),
            readiness: readiness.clone(),
            token: settings.cluster_token.clone(),
            request_timeout: settings.request_timeout.0,
            max_in_flight: settings.max_in_flight,
        };
        doors.begin(Router::new());
        spawn(
            tasks,
            "private-listener",
            private,
            doors.private.clone(),
            bounds.clone().private(),
        );
        spawn(tasks, "public-listener", public, doors.public.clone(), bounds);
        doors
    }

    /// What is answered while the master starts: `early` on the private listener.
    pub(super) fn begin(&self, early: Router) {
        self.set_private(early.merge(self.starting()));
        self.set_public(self.starting());
    }

    /// From now on the public listener answers these.
    pub(super) fn set_public(&self, router: Router) {
        let layers = Layers::new(self.metrics.clone(), self.request_timeout, MAX_BODY_BYTES, self.max_in_flight);
        let layers = layers.traced(&self.tracer, crate::http::is_submission);
        let layers = layers.unhurried(crate::http::is_unhurried).gated(Arc::clone(&self.gate));
        self.public.replace(layers.around(router));
    }

    /// From now on the private listener answers these, those under `/internal` to nodes of the cluster alone.
    pub(super) fn set_private(&self, router: Router) {
        let layers = Layers::new(self.metrics.clone(), PRIVATE_TIMEOUT, MAX_BODY_BYTES, self.max_in_flight);
        let layers = layers
            .gated(Arc::clone(&self.private_gate))
            .traced(&self.tracer, |_, _| false);
        self.private.replace(layers.private(self.token.expose()).around(router));
    }

    fn starting(&self) -> Router {
        let readiness = self.readiness.clone();
        let refuse = || async move {
            let reason = readiness.trouble().filter(|reason| reason != "starting");
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            ApiError::unavailable(format!("this master is starting{reason}"))
        };
        operations(self.registry.clone(), self.readiness.clone())
            .route("/", any(refuse.clone()))
            .route("/{*path}", any(refuse))
    }
}

fn spawn(tasks: &Tasks, name: &'static str, listener: Listener, routes: Routes, bounds: ConnectionBounds) {
    let listener = Mutex::new(Some(listener));
    tasks.supervise(name, move |stop| {
        let (listener, routes, bounds) = (listener.lock().take(), routes.clone(), bounds.clone());
        async move {
            if let Some(listener) = listener {
                serve_within(listener, routes, bounds, stop).await;
            }
        }
    });
}
