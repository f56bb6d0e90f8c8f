//! What of a job is newer than its durable copy.

use std::collections::BTreeMap;

/// Versions of a job and of its parts. A version counts changes; what changed after the saved one is to be written.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    version: u64,
    saved: u64,
    /// When the graph came, if it is not durable.
    graph: Option<u64>,
    /// Chunks of tasks, by (stage, chunk), and when they changed last.
    chunks: BTreeMap<(u32, u32), u64>,
}

impl Journal {
    /// Something changed.
    pub(crate) const fn changed(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// A graph came.
    pub(crate) const fn planned(&mut self) {
        self.graph = Some(self.changed());
    }

    /// A chunk of tasks changed.
    pub(crate) fn chunk_changed(&mut self, stage: u32, chunk: u32) {
        let version = self.changed();
        self.chunks.insert((stage, chunk), version);
    }

    /// There is no graph any more.
    pub(crate) fn unplanned(&mut self) {
        self.changed();
        self.graph = None;
        self.chunks.clear();
    }

    /// All up to `version` is durable.
    pub(crate) fn saved(&mut self, version: u64) {
        self.saved = self.saved.max(version);
        self.graph = self.graph.filter(|at| *at > version);
        self.chunks.retain(|_, at| *at > version);
    }

    /// The latest version.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// The durable version.
    pub(crate) const fn durable(&self) -> u64 {
        self.saved
    }

    /// Whether the graph is not durable.
    pub(crate) const fn has_new_graph(&self) -> bool {
        self.graph.is_some()
    }

    /// Chunks that are not durable.
    pub(crate) fn new_chunks(&self) -> Vec<(u32, u32)> {
        self.chunks.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_while_a_save_is_under_way_is_in_the_next_one() {
        let mut journal = Journal::default();
        journal.planned();
        journal.chunk_changed(0, 0);
        let first = journal.version();
        journal.chunk_changed(0, 0);
        journal.chunk_changed(1, 0);
        journal.saved(first);
        assert!(!journal.has_new_graph());
        assert_eq!(journal.new_chunks(), [(0, 0), (1, 0)]);
        journal.saved(journal.version());
        assert!(journal.new_chunks().is_empty());
    }
}
