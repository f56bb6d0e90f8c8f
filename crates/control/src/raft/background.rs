//! What runs beside the calls: noticing roles and failures, bounding the log by bytes, ending leases.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::ProgressResponder;
use openraft::type_config::TypeConfigExt as _;
use openraft::type_config::alias::WatchReceiverOf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::RaftStore;
use super::lead::Miss;
use super::members::MemberRole;
use super::reads::{self, ReadPoint};
use super::runtime::now;
use super::types::TypeConfig;
use crate::error::Error;
use crate::state::Command;
use crate::types::LeaseId;

/// How often the leader looks after the members.
const MEMBERS_TICK: Duration = Duration::from_millis(300);

/// How often leases are looked at; one may live longer by this much.
const LEASE_TICK: Duration = Duration::from_millis(100);

/// How often the length of the log is looked at.
const LOG_TICK: Duration = Duration::from_secs(1);

impl RaftStore {
    /// Starts the tasks. They end when the engine stops.
    pub(super) fn start_background(
        self: &Arc<Self>,
        readers: mpsc::UnboundedReceiver<oneshot::Sender<crate::Result<ReadPoint>>>,
    ) {
        let stopping = self.stopping.clone();
        let roles = follow_roles(Arc::downgrade(self), self.raft.metrics());
        let leases = every(LEASE_TICK, Arc::downgrade(self), async |store| store.end_leases().await);
        let mut snapshot_at = 0;
        let log = every(LOG_TICK, Arc::downgrade(self), async move |store| {
            store.bound_log(&mut snapshot_at).await
        });
        let members = every(MEMBERS_TICK, Arc::downgrade(self), async |store| {
            store.leave_a_full_disk().await;
            store.tend_members().await;
            store.measure_members();
            store.removed.store(store.is_disowned(), Ordering::Relaxed);
        });
        let reads = reads::serve(Arc::downgrade(self), readers);
        let work = self.tasks.track_future(async move {
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                ((), (), (), (), ()) = async { tokio::join!(roles, leases, log, members, reads) } => {}
            }
        });
        drop(TypeConfig::spawn(work));
    }

    /// A leader that cannot write lets another lead, if one can.
    async fn leave_a_full_disk(&self) {
        if !self.log.is_full() || !self.is_raft_leader() {
            return;
        }
        match self.transfer(None, Instant::now() + self.options.election_timeout.1).await {
            Ok(heir) => tracing::warn!(heir, "the disk is full: another master leads the control store now"),
            Err(Miss::Final(error)) => tracing::debug!(%error, "the disk is full, and no other master can lead"),
            Err(_) => {}
        }
    }

    fn measure_members(&self) {
        let full = self.log.is_full();
        let view = self.view();
        let progress = view.members.iter().map(|member| (member.name.as_str(), member.lag));
        self.metrics.members(full, progress);
        let voters = view.members.iter().filter(|member| member.role != MemberRole::Learner);
        let all = voters.clone().count();
        let full: Vec<&str> = voters
            .filter(|member| member.disk_full)
            .map(|member| member.name.as_str())
            .collect();
        let stuck = !full.is_empty() && all - full.len() <= all / 2;
        *self.no_space.write() = stuck.then(|| full.join(", "));
    }

    /// Proposes the end of the leases whose time is up.
    async fn end_leases(&self) {
        let now = now();
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
        // What stays behind a snapshot for followers that lag is counted in entries, which may be large.
        let covered = self.raft.metrics().borrow_watched().snapshot.map(|last| last.index);
        if let (Some(beyond), Some(covered)) = (self.log.beyond(self.options.snapshot_bytes), covered)
            && let Err(error) = self.raft.trigger().purge_log(beyond.min(covered)).await
        {
            tracing::warn!(%error, "the log could not be shortened");
        }
    }

    /// Why writes make no sense just now.
    pub(super) fn no_space(&self) -> Option<Error> {
        if self.log.is_full() {
            return Some(self.full());
        }
        let full = self.no_space.read();
        let text = full
            .as_ref()
            .map(|names| format!("the disks of {names} are full: free space there; the store is read-only until then"));
        text.map(Error::Unavailable)
    }

    /// The term, and whether this node leads it.
    pub(super) fn role(&self) -> (u64, bool) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.current_term, metrics.state.is_leader())
    }
}

/// Keeps the metrics of the role, and stops the engine when the protocol has stopped.
async fn follow_roles(store: Weak<RaftStore>, mut changes: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>) {
    loop {
        {
            let Some(store) = store.upgrade() else { return };
            let (term, leading) = store.role();
            store.metrics.role(term, leading, store.leader_id());
            let stopped = store.raft.metrics().borrow_watched().running_state.is_err();
            if stopped {
                store.metrics.role(term, false, None);
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
