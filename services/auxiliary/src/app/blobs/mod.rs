//! Blobs on this node, and their copies on the others.
//!
//! What stays true:
//! - a write is acknowledged when all owners of the ring, as it is then, have it durably ([`Blobs::write`]);
//! - each blob's first live owner sees to it that every owner has a good copy ([`Blobs::pass`]);
//! - a copy that need not be here goes only after all owners were found to have good ones;
//! - a damaged copy is never handed out, and is written anew from another holder ([`Blobs::heal`]).

mod copy;
mod heal;
mod placement;
mod repair;
mod scrub;
mod tee;
mod write;

use std::sync::Arc;
use std::time::Duration;

use blobs::holder::Holders;
use cache::owner::Identity;
use cluster::{Owner, View};
use store::blob::{BlobName, BlobStore, Error};
use tokio::sync::mpsc;
use transport::peer::PeerClient;

pub(crate) use placement::{Placement, Roster};
pub(crate) use write::WriteError;

use crate::metrics::BlobMetrics;

/// Damaged blobs that wait to be healed; more are found again by the next read or scrub.
const SUSPECTS: usize = 1024;

/// What an operator decides about blobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlobPolicy {
    /// Copies of each.
    pub(crate) replicas: usize,
    /// Absence after which a node is replaced.
    pub(crate) repair_after: Duration,
    /// Bytes a second that repair sends.
    pub(crate) repair_rate: u64,
    /// Time between two scrubs; 0 for none.
    pub(crate) scrub_interval: Duration,
    /// Bytes a second that a scrub reads.
    pub(crate) scrub_rate: u64,
}

/// Blobs of a node.
#[derive(Debug)]
pub(crate) struct Blobs {
    pub(crate) store: BlobStore,
    pub(crate) metrics: BlobMetrics,
    pub(crate) policy: BlobPolicy,
    me: Identity,
    holders: Holders,
    view: Arc<View>,
    suspects: mpsc::Sender<BlobName>,
}

impl Blobs {
    /// With the damaged ones that are found, to be healed one after the other.
    pub(crate) fn new(
        store: BlobStore,
        me: Identity,
        peers: PeerClient,
        view: Arc<View>,
        policy: BlobPolicy,
        metrics: BlobMetrics,
    ) -> (Arc<Self>, mpsc::Receiver<BlobName>) {
        let (suspects, found) = mpsc::channel(SUSPECTS);
        let blobs = Self {
            store,
            metrics,
            policy,
            me,
            holders: Holders::new(peers),
            view,
            suspects,
        };
        (Arc::new(blobs), found)
    }

    pub(crate) const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Has a damaged blob healed.
    pub(crate) fn noticed(&self, error: &Error) {
        if let Error::Damaged { name, detail } = error {
            tracing::error!(blob = %name, detail, "a blob is damaged here; it is taken from another holder");
            self.metrics.damaged.inc();
            // When very many are damaged the next scrub finds the rest.
            self.suspects.try_send(name.clone()).ok();
        }
    }

    /// The owners of a blob by the ring as it is; none while there is no ring.
    fn owners(&self, name: &BlobName) -> Vec<Owner> {
        let snapshot = self.view.load();
        let candidates = snapshot.routing().candidates(blobs::NAMESPACE, name.as_str());
        candidates.into_iter().take(self.policy.replicas).cloned().collect()
    }

    /// The owners of a blob but for this node.
    fn other_owners(&self, name: &BlobName) -> Vec<Owner> {
        let mut owners = self.owners(name);
        owners.retain(|owner| owner.id != self.me.id);
        owners
    }
}
