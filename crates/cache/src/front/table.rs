//! The ways to the owners of one ring.

use std::sync::Arc;
use std::time::Duration;

use cluster::{NodeIndex, Routing};

use super::Options;
use super::lane::{Lane, Ways};

/// The ring a master routes by, with a way to each owner; made anew for each ring.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) routing: Arc<Routing>,
    lanes: Vec<Option<Lanes>>,
}

/// Ways to one owner: a write waits for replicas, and reads must not wait behind it.
#[derive(Debug)]
struct Lanes {
    reads: Lane,
    writes: Lane,
}

impl Table {
    pub(super) fn new(routing: Arc<Routing>, options: Options, ways: &Arc<Ways>) -> Self {
        let open = |owner: &cluster::Owner, deadline: Duration| {
            Lane::open(owner.clone(), Arc::clone(&routing), deadline, Arc::clone(ways))
        };
        let lanes = routing.nodes().map(|index| {
            routing.node(index).map(|owner| Lanes {
                reads: open(owner, options.read_patience),
                writes: open(owner, options.deadline),
            })
        });
        Self {
            lanes: lanes.collect(),
            routing: Arc::clone(&routing),
        }
    }

    /// The way to an owner; none while its address is not known.
    pub(super) fn lane(&self, owner: NodeIndex, for_reads: bool) -> Option<&Lane> {
        let lanes = self.lanes.get(owner.get())?.as_ref()?;
        Some(if for_reads { &lanes.reads } else { &lanes.writes })
    }

    /// The name of an owner.
    pub(super) fn name(&self, owner: NodeIndex) -> Arc<str> {
        self.routing.name(owner).map_or("", |id| id.as_str()).into()
    }
}
