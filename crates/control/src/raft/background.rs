//! What runs beside the calls: noticing roles and failures, bounding the log by bytes, ending leases.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::ProgressResponder;
use openraft::type_config::alias::WatchReceiverOf;

use super::RaftStore;
use super::types::TypeConfig;
use crate::state::Command;
use crate::types::LeaseId;

/// How often leases are looked at; one may live longer by this much.
const LEASE_TICK: Duration = Duration::from_millis(100);

/// How often the length of the log is looked at.
const LOG_TICK: Duration = Duration::from_secs(1);

impl RaftStore {
    /// Starts the tasks. They end when the engine stops.
    pub(super) fn start_background(self: &Arc<Self>) {
        let stopping = self.stopping.clone();
        let roles = follow_roles(Arc::downgrade(self), self.raft.metrics());
        let leases = every(LEASE_TICK, Arc::downgrade(self), async |store| store.end_leases().await);
        let mut snapshot_at = 0;
        let log = every(LOG_TICK, Arc::downgrade(self), async move |store| {
            store.bound_log(&mut snapshot_at).await
        });
        self.tasks.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                ((), (), ()) = async { tokio::join!(roles, leases, log) } => {}
            }
        });
    }

    /// Proposes the end of the leases whose time is up.
    async fn end_leases(&self) {
        let now = Instant::now();
        let (term, ended) = {
            let (term, leading) = self.role();
            let mut deadlines = self.deadlines.lock();
            deadlines.lead(term, leading);
            (term, self.applied.look(|state| deadlines.end(state.leases(), now)))
        };
        let revocations = ended.into_iter().map(|lease| self.expire(lease, term));
        futures::future::join_all(revocations).await;
    }

    /// Bound to the term in which the deadline was kept: a later leader has given the lease its full ttl again.
    async fn expire(&self, lease: LeaseId, term: u64) {
        let (responder, completed) = ProgressResponder::complete_only();
        let proposed = self
            .raft
            .write(Arc::new(Command::Revoke { lease }))
            .with_leader(term)
            .responder(responder)
            .await;
        if proposed.is_ok()
            && completed
                .await
                .is_ok_and(|written| written.is_ok_and(|written| written.data.is_ok()))
        {
            tracing::info!(lease = lease.0, "a lease has expired");
        }
    }

    async fn bound_log(&self, snapshot_at: &mut u64) {
        let appended = self.log.appended_bytes();
        if appended - *snapshot_at >= self.options.snapshot_bytes {
            *snapshot_at = appended;
            if let Err(error) = self.raft.trigger().snapshot().await {
                tracing::warn!(%error, "a snapshot could not be asked for");
            }
        }
    }

    /// The term, and whether this node leads it.
    pub(super) fn role(&self) -> (u64, bool) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.current_term, metrics.current_leader == Some(self.options.node_id))
    }
}

/// Keeps the metrics of the role, and stops the engine when the protocol has stopped.
async fn follow_roles(store: Weak<RaftStore>, mut changes: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>) {
    loop {
        {
            let Some(store) = store.upgrade() else { return };
            let (term, leading) = store.role();
            store.metrics.role(term, leading);
            let stopped = store.raft.metrics().borrow_watched().running_state.is_err();
            if stopped {
                store.metrics.role(term, false);
                store.stopping.cancel();
            }
        }
        if changes.changed().await.is_err() {
            // The protocol is gone without a word.
            if let Some(store) = store.upgrade() {
                store.stopping.cancel();
            }
            return;
        }
    }
}

async fn every(tick: Duration, store: Weak<RaftStore>, mut work: impl AsyncFnMut(&RaftStore)) {
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(store) = store.upgrade() else { return };
        work(&store).await;
    }
}
