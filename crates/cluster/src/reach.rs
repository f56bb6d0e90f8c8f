//! Which auxiliaries this node can reach: asked of it by the leader, who otherwise knows only whom *it* can reach.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::member::{Member, Role};
use api::{BootId, NodeId};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use transport::peer::{PeerClient, PeerError, Retry};

use crate::{Snapshot, View};

/// Pause between pings.
const PACE: Duration = Duration::from_millis(500);
/// Longest time for a ping.
const DEADLINE: Duration = Duration::from_millis(300);
/// Pings in a row that must fail.
const FAILURES: u32 = 2;

/// Pings all auxiliaries, in the ring or not. Keep [`Reach::run`] running.
#[derive(Debug)]
pub struct Reach {
    view: Arc<View>,
    client: PeerClient,
    me: Option<NodeId>,
    failures: Mutex<BTreeMap<NodeId, Failures>>,
}

/// Failures in a row, of one life.
#[derive(Debug, Clone, Copy)]
struct Failures {
    boot_id: BootId,
    count: u32,
}

/// Whom to ping.
#[derive(Debug, Clone)]
struct Target {
    id: NodeId,
    boot_id: BootId,
    address: String,
}

impl Reach {
    /// Of a master, or of the auxiliary `me`.
    #[must_use]
    pub fn new(view: Arc<View>, client: PeerClient, me: Option<NodeId>) -> Self {
        Self {
            view,
            client,
            me,
            failures: Mutex::default(),
        }
    }

    /// Pings until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let pinging = async {
            loop {
                ticks.tick().await;
                let targets = self.targets(&self.view.load_full());
                self.failures
                    .lock()
                    .retain(|id, _| targets.iter().any(|target| target.id == *id));
                join_all(targets.iter().map(|target| self.ping(target))).await;
            }
        };
        tokio::select! {
            () = pinging => {}
            () = stop.cancelled() => {}
        }
    }

    /// Auxiliaries that failed to answer twice in a row. Of an earlier life than the one this node knows now it says nothing.
    #[must_use]
    pub fn unreachable(&self) -> Vec<NodeId> {
        let failures = self.failures.lock();
        if failures.values().all(|failures| failures.count < FAILURES) {
            return Vec::new();
        }
        let snapshot = self.view.load();
        let members = &snapshot.routing().record().layout.members;
        let is_past = |id: &NodeId, boot_id| members.iter().any(|member| member.id == *id && member.boot_id != boot_id);
        let targets = self.targets(&snapshot);
        let current = targets.into_iter().filter(|target| !is_past(&target.id, target.boot_id));
        let failed = current.filter(|target| {
            let known = failures.get(&target.id).filter(|failures| failures.boot_id == target.boot_id);
            known.is_some_and(|failures| failures.count >= FAILURES)
        });
        failed.map(|target| target.id).collect()
    }

    /// Registered auxiliaries, and members of the ring whose lease ended but whose address is known.
    fn targets(&self, snapshot: &Snapshot) -> Vec<Target> {
        let registered = snapshot.with_role(Role::Auxiliary).map(|member: &Member| Target {
            id: member.id.clone(),
            boot_id: member.boot_id,
            address: member.address.clone(),
        });
        let routing = snapshot.routing();
        let lapsed = routing.members().filter_map(|index| routing.node(index));
        let lapsed = lapsed
            .filter(|owner| snapshot.member(Role::Auxiliary, &owner.id).is_none())
            .map(|owner| Target {
                id: owner.id.clone(),
                boot_id: owner.boot_id,
                address: owner.address.clone(),
            });
        let all = registered.chain(lapsed);
        all.filter(|target| Some(&target.id) != self.me.as_ref()).collect()
    }

    /// An answer of any kind will do. The breaker is left alone: it would hide the peer, and a ping must not close it to others.
    async fn ping(&self, target: &Target) {
        let call = self.client.get(&target.address, "/health").deadline(DEADLINE);
        let outcome = call.retry(Retry::Never).unguarded().send().await;
        let reached = matches!(outcome, Ok(_) | Err(PeerError::Answered { .. } | PeerError::Malformed { .. }));
        let mut failures = self.failures.lock();
        let fresh = Failures {
            boot_id: target.boot_id,
            count: 0,
        };
        let known = failures.entry(target.id.clone()).or_insert(fresh);
        if known.boot_id != target.boot_id {
            *known = fresh;
        }
        known.count = if reached { 0 } else { known.count.saturating_add(1) };
    }
}
