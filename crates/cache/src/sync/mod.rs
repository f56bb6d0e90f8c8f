//! Range sync: how a node gets what it must hold and does not. One way for joining, draining, repair and restoring.
//!
//! While the ring moves, every member of the layout to come compares digests of the keys that concern it with the nodes that
//! have them, and fetches what differs. Where a key has a primary, its word counts: what it lacks is dropped here, unless it
//! came since. Where no copy is left, everybody's backup is asked, and the newest version counts.
//!
//! It can be given up and begun again at any point: what was fetched is equal then, and need not travel again.

mod pull;
mod throttle;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::cache::SyncProgress;
use api::member::Phase;
use cluster::{NodeIndex, Routing, Source};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::owner::{Owner, State};

/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(50);

/// Whether `puller` fetches the key at this place of the ring from `source`.
pub(crate) fn is_between(routing: &Routing, puller: NodeIndex, source: NodeIndex, hash: u64) -> bool {
    match routing.source(puller, hash) {
        Source::Here => false,
        Source::Primary(primary) => primary == source,
        Source::Everybody => puller != source,
    }
}

impl Owner {
    /// Fetches what is missing whenever the ring moves, until `stop`.
    pub async fn sync(self: Arc<Self>, stop: CancellationToken) {
        let mut state = self.state();
        loop {
            let work = async {
                if state.phase() == Phase::Moving && state.me.is_some() {
                    self.fetch_all(&state).await;
                }
                if state.phase() == Phase::Settling && state.me.is_some() {
                    self.take_over(&state).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                next = self.after(&state) => state = next,
                () = work => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits until every other node has handed over what it applied before.
    async fn take_over(&self, state: &Arc<State>) {
        let others = state
            .routing
            .nodes()
            .filter(|node| Some(*node) != state.me && state.routing.is_serving(*node));
        futures::future::join_all(others.map(|node| async move {
            while let Err(error) = self.ask_handover(state, node).await {
                tracing::debug!(from = ?state.routing.name(node), %error, "nothing was handed over");
                tokio::time::sleep(RETRY).await;
            }
            state.heard[node.get()].store(true, Ordering::Release);
        }))
        .await;
    }

    /// Compares with every source in turn, each as often as it takes.
    async fn fetch_all(&self, state: &Arc<State>) {
        let Some(me) = state.me else { return };
        let began = Instant::now();
        let sources: Vec<_> = state.routing.nodes().filter(|node| *node != me).collect();
        *self.progress.lock() = Some(SyncProgress {
            epoch: state.epoch(),
            started_at_ms: self.clock.now_ms(),
            ..SyncProgress::default()
        });
        for source in sources {
            while let Err(error) = self.fetch_from(state, me, source).await {
                warn!(source = ?state.routing.name(source), %error, "range sync is held up");
                tokio::time::sleep(RETRY).await;
            }
        }
        self.has_synced(state.epoch());
        self.metrics.sync_seconds.observe(began.elapsed().as_secs_f64());
        if let Some(progress) = &mut *self.progress.lock() {
            progress.ended_at_ms = Some(self.clock.now_ms());
            info!(epoch = %state.epoch(), entries = progress.entries, bytes = progress.bytes, dropped = progress.dropped,
                elapsed = ?began.elapsed(), "range sync is done");
        }
    }
}
