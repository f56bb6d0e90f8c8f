//! Both listeners, answering from the first moment: masters of the built-in engine wait for one another before they can
//! start, and clients that come too early are told so at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use lifecycle::Tasks;
use parking_lot::Mutex;
use telemetry::Registry;
use telemetry::traces::Tracer;
use tokio::sync::watch;
use transport::server::{ConnectionBounds, Gate, HttpMetrics, Layers, Listener, Readiness, Routes, operations, serve_within};
use transport::{ApiError, leave_unread};

use crate::Settings;

/// Private calls may be slow on purpose (long polls, watches, shuffles): their callers have deadlines.
const PRIVATE_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest body of a request: a batch, or a report with a plan.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Least time in which a master that stops answers 503 before it ends connections. NGINX leaves a server that has answered so alone for one or
/// two seconds: when the next master stops, this one should not be left alone any more.
const TURNING_AWAY: Duration = Duration::from_secs(2);
/// Longest wait, after that, until NGINX tries it again, only to leave it alone once more.
const NEXT_ATTEMPT: Duration = Duration::from_secs(2);
/// Time for requests that were sent before NGINX had read that 503.
const IN_FLIGHT: Duration = Duration::from_millis(100);

/// Two listeners whose routes change when the master has started, and when it stops.
#[derive(Debug)]
pub(crate) struct Doors {
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

    /// From now on clients are told that the master stops: 503, not executed. Returns when connections can be ended. A proxy does not know of a
    /// write that it has just sent on a connection that ends whether it was executed; so it must have turned to other masters before.
    pub(crate) async fn turn_away(&self) {
        let (refused, refusals) = watch::channel(());
        self.set_public(self.refusing(move || {
            refused.send_replace(());
            "this master is stopping".to_owned()
        }));
        left_alone(refusals).await;
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
        self.refusing(move || {
            let reason = readiness.trouble().filter(|reason| reason != "starting");
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("this master is starting{reason}")
        })
    }

    fn refusing(&self, why: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
        let refuse = |request: Request| async move {
            leave_unread(request.into_body());
            ApiError::unavailable(why())
        };
        operations(self.registry.clone(), self.readiness.clone())
            .route("/", any(refuse.clone()))
            .route("/{*path}", any(refuse))
    }
}

/// Returns when nobody will come for a moment, by the requests that were refused.
async fn left_alone(mut refusals: watch::Receiver<()>) {
    tokio::time::sleep(TURNING_AWAY).await;
    if refusals.has_changed().unwrap_or(false) {
        refusals.mark_unchanged();
        drop(tokio::time::timeout(NEXT_ATTEMPT, refusals.changed()).await);
        tokio::time::sleep(IN_FLIGHT).await;
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

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    /// How long it takes when requests are refused then, in milliseconds.
    async fn left_alone_after(refused_at: &[u64]) -> u128 {
        let (begun, (refused, refusals)) = (Instant::now(), watch::channel(()));
        let clients = async {
            for at in refused_at {
                sleep(Duration::from_millis(*at).saturating_sub(begun.elapsed())).await;
                refused.send_replace(());
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = left_alone(refusals) => begun.elapsed().as_millis(),
            () = clients => unreachable!("they stay"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_end_when_a_proxy_has_just_been_told_to_stay_away() {
        assert_eq!(left_alone_after(&[]).await, 2_000, "nobody asks");
        assert_eq!(left_alone_after(&[0, 1_500]).await, 4_100, "and nobody asks again");
        assert_eq!(left_alone_after(&[0, 1, 2, 1_500, 3_000, 3_001]).await, 3_100);
    }
}
