//! The part of the log that is not yet covered by a snapshot, in memory: reads never touch the disk. Commands are shared
//! with the files' writer and values with the state machine, so an entry costs little beside its value.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};

use super::super::types::{Entry, LogId, Vote};
use super::writer::entry_bytes;

/// Entries and the facts about them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: VecDeque<Entry>,
    bytes: usize,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
}

impl Memory {
    /// The last entry, or the last one purged.
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    /// Index of the oldest entry.
    pub(super) fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Appends an entry; a hole is refused.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), String> {
        let index = entry.log_id.index;
        if index == u64::MAX {
            return Err(format!("entry {index} is beyond what any log reaches"));
        }
        if let Some(last) = self.entries.back().map(|last| last.log_id.index)
            && Some(index) != last.checked_add(1)
        {
            return Err(format!("entry {index} follows entry {last}"));
        }
        self.bytes += entry_bytes(&entry);
        self.entries.push_back(entry);
        Ok(())
    }

    /// Drops what comes after an entry.
    pub(super) fn truncate_after(&mut self, last: Option<u64>) {
        let keep = last.map_or(0, |last| last.saturating_add(1));
        while let Some(dropped) = self.entries.pop_back_if(|entry| entry.log_id.index >= keep) {
            self.bytes -= entry_bytes(&dropped);
        }
    }

    /// Drops an entry and what comes before it.
    pub(super) fn purge(&mut self, upto: LogId) {
        if self.purged < Some(upto) {
            self.purged = Some(upto);
        }
        while let Some(dropped) = self.entries.pop_front_if(|entry| entry.log_id.index <= upto.index) {
            self.bytes -= entry_bytes(&dropped);
        }
    }

    /// The last entry to drop so that what is left has so many bytes at most; none when it has.
    pub(super) fn beyond(&self, limit: usize) -> Option<u64> {
        let mut excess = self.bytes.checked_sub(limit).filter(|excess| *excess > 0)?;
        let last = self.entries.iter().find(|entry| {
            let bytes = entry_bytes(entry);
            let enough = bytes >= excess;
            excess = excess.saturating_sub(bytes);
            enough
        });
        last.map(|entry| entry.log_id.index)
    }

    /// The entries in a range of indexes, as far as there are any.
    pub(super) fn range(&self, range: impl RangeBounds<u64>) -> Vec<Entry> {
        let Some(first) = self.first_index() else { return Vec::new() };
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let place = |index: u64| {
            usize::try_from(index.saturating_sub(first))
                .unwrap_or(usize::MAX)
                .min(self.entries.len())
        };
        let (start, end) = (place(start), place(end));
        if start >= end {
            Vec::new()
        } else {
            self.entries.range(start..end).cloned().collect()
        }
    }
}
