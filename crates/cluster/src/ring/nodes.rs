//! A short list of nodes, on the stack: the cache asks for one per operation.

use std::ops::Deref;

/// Owners before and after a change, at most five each, and room to spare.
const MAX_NODES: usize = 16;

/// A node of one [`Routing`](super::Routing); means nothing to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeIndex(u16);

impl NodeIndex {
    pub(super) fn new(place: usize) -> Self {
        Self(u16::try_from(place).expect("a ring has fewer than 65,536 members"))
    }

    /// As an index into tables of one entry per node.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Nodes, in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nodes {
    nodes: [NodeIndex; MAX_NODES],
    len: usize,
}

impl Nodes {
    /// Appends one; beyond the room there is, which replicas are bounded to stay below, it is left out.
    pub(super) fn push(&mut self, node: NodeIndex) {
        if let Some(place) = self.nodes.get_mut(self.len) {
            *place = node;
            self.len += 1;
        }
    }
}

impl Deref for Nodes {
    type Target = [NodeIndex];

    fn deref(&self) -> &[NodeIndex] {
        &self.nodes[..self.len]
    }
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Nodes {}

impl FromIterator<NodeIndex> for Nodes {
    fn from_iter<I: IntoIterator<Item = NodeIndex>>(nodes: I) -> Self {
        let mut list = Self::default();
        nodes.into_iter().for_each(|node| list.push(node));
        list
    }
}
