//! The ways to the owners of one ring.

use std::sync::Arc;
use std::time::Duration;

use cluster::{NodeIndex, Routing};

use super::Options;
use super::lane::{Lane, Ways};

/// Frames of writes under way to one owner: it waits for its replicas, and has time for another one meanwhile.
const WRITES_AT_ONCE: usize = 2;

/// The ring a master routes by, with a way to each owner; made anew for each ring.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) routing: Arc<Routing>,
    lanes: Vec<Option<Lanes>>,
    names: Vec<Arc<str>>,
}

/// Ways to one owner: a write waits for replicas, and reads must not wait behind it.
#[derive(Debug)]
struct Lanes {
    reads: Lane,
    writes: Lane,
}

impl Table {
    pub(super) fn new(routing: Arc<Routing>, options: Options, ways: &Arc<Ways>) -> Self {
        let open = |owner: &cluster::Owner, deadline: Duration, at_once: usize| {
            Lane::open(owner.clone(), Arc::clone(&routing), deadline, at_once, Arc::clone(ways))
        };
        let lanes = routing.nodes().map(|index| {
            routing.node(index).map(|owner| Lanes {
                reads: open(owner, options.read_patience, 1),
                writes: open(owner, options.deadline, WRITES_AT_ONCE),
            })
        });
        let names = routing
            .nodes()
            .map(|index| routing.name(index).map_or("", |id| id.as_str()).into());
        Self {
            lanes: lanes.collect(),
            names: names.collect(),
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
        self.names.get(owner.get()).map_or_else(|| "".into(), Arc::clone)
    }
}
