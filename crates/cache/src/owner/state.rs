//! One ring as an owner serves it.

use std::sync::Arc;

use api::Epoch;
use api::member::Phase;
use cluster::{NodeIndex, Routing};
use tokio_util::sync::CancellationToken;

use super::lane::Lane;

/// A ring, this node's place in it, and the ways to the other owners.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) routing: Arc<Routing>,
    /// None while this life of the node has no part in the ring.
    pub(crate) me: Option<NodeIndex>,
    /// By node; none to this one, and to those whose address is not known.
    pub(crate) lanes: Vec<Option<Lane>>,
    /// Cancelled when the next ring is served.
    pub(crate) over: CancellationToken,
    /// Held by every write that was applied under this ring, until all who must have it do.
    pub(crate) open: Arc<()>,
}

impl State {
    pub(crate) fn epoch(&self) -> Epoch {
        self.routing.epoch()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.routing.record().phase
    }

    pub(crate) fn lane(&self, node: NodeIndex) -> Option<&Lane> {
        self.lanes.get(node.get())?.as_ref()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.over.cancel();
    }
}
