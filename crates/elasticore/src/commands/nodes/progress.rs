//! How far a change of the ring is, for a person who waits for it.

use indicatif::{HumanBytes, HumanCount};

use super::Nodes;
use crate::output::Bar;

/// A bar for a change that was asked for.
pub(super) fn begin(color: bool) -> Bar {
    Bar::new(color, "asked for")
}

/// Draws how far the ring is.
pub(super) fn show(bar: &Bar, nodes: &Nodes) {
    let sync = nodes.sync();
    let message = format!(
        "{}/{} parts compared · {} entries, {} fetched",
        HumanCount(sync.buckets_done),
        HumanCount(sync.buckets),
        HumanCount(sync.entries),
        HumanBytes(sync.bytes)
    );
    bar.show(nodes.phase.as_str(), sync.buckets_done, sync.buckets, message);
}
