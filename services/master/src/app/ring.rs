//! Changes of the ring that operators ask for.

use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::member::Role;
use api::operations::RingChange;
use cluster::{Error, RequestOutcome};
use control::ControlStore;

use super::auxiliaries::Auxiliaries;

/// Asks the leader through the control store.
#[derive(Debug)]
pub struct Ring {
    store: Arc<dyn ControlStore>,
    auxiliaries: Auxiliaries,
}

impl Ring {
    /// Of this cluster.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, auxiliaries: Auxiliaries) -> Self {
        Self { store, auxiliaries }
    }

    /// Whether an auxiliary of this name is registered, in the ring, or was drained.
    #[must_use]
    pub fn knows(&self, node: &NodeId) -> bool {
        let snapshot = self.auxiliaries.view().load();
        let routing = snapshot.routing();
        let in_ring = routing.nodes().any(|index| routing.name(index) == Some(node));
        in_ring || snapshot.member(Role::Auxiliary, node).is_some() || snapshot.drains().contains_key(node)
    }

    /// Has all auxiliaries compare what they hold, and waits for that no longer than `patience`.
    ///
    /// # Errors
    /// When the control store fails.
    pub async fn rebalance(&self, patience: Duration) -> Result<RingChange, Error> {
        let outcome = cluster::rebalance(&self.store, self.auxiliaries.view(), patience).await?;
        Ok(self.change(outcome).await)
    }

    /// Has a node hand over what it holds and leave the ring, and waits for that no longer than `patience`.
    ///
    /// # Errors
    /// [`Error::Keep`] when it must stay; when the control store fails.
    pub async fn drain(&self, node: &NodeId, patience: Duration) -> Result<RingChange, Error> {
        let outcome = cluster::drain(&self.store, self.auxiliaries.view(), node, patience).await?;
        Ok(self.change(outcome).await)
    }

    async fn change(&self, outcome: RequestOutcome) -> RingChange {
        RingChange {
            done: outcome.done,
            node: outcome.node,
            from_epoch: outcome.before,
            epoch: outcome.after,
            phase: self.auxiliaries.view().load().phase(),
            asked_revision: outcome.asked,
            sync: self.auxiliaries.sync_totals(outcome.syncs_from).await,
        }
    }
}
