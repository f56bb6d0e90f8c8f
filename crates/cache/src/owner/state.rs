//! One ring as an owner serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// By node: whether it has handed over what it applied under earlier rings.
    pub(crate) heard: Vec<AtomicBool>,
}

impl State {
    pub(crate) fn epoch(&self) -> Epoch {
        self.routing.epoch()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.routing.record().phase
    }

    /// Whether nobody else may still bring older writes of a key that this node orders the writes of.
    pub(crate) fn is_handed_over(&self, hash: u64) -> bool {
        let before = self.routing.predecessor(hash).filter(|before| Some(*before) != self.me);
        before.is_none_or(|before| {
            self.heard
                .get(before.get())
                .is_some_and(|heard| heard.load(Ordering::Acquire))
        })
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
