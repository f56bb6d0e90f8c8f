//! Recent changes, for watches: one item per revision, bounded by count and by bytes, oldest dropped first.
//!
//! It is a node's own memory, not part of the replicated state: replies never depend on it, and a restored snapshot
//! begins with none.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Error;
use crate::types::{Event, Revision};

/// Charged for each event beside its bytes.
const EVENT_OVERHEAD: u64 = 112;

/// How much to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryLimits {
    /// Revisions, at most.
    pub(crate) revisions: usize,
    /// Bytes of keys and values, at most.
    pub(crate) bytes: u64,
}

/// The events of the last revisions.
#[derive(Debug)]
pub(crate) struct History {
    items: VecDeque<Item>,
    /// Revision of the first item; without items, the next revision.
    first: Revision,
    bytes: u64,
    limits: HistoryLimits,
}

#[derive(Debug)]
struct Item {
    events: Arc<[Event]>,
    bytes: u64,
}

impl History {
    /// Nothing remembered; the next change will be `first`.
    pub(crate) const fn new(first: Revision, limits: HistoryLimits) -> Self {
        Self {
            items: VecDeque::new(),
            first,
            bytes: 0,
            limits,
        }
    }

    /// Appends the events of the next revision.
    pub(crate) fn push(&mut self, events: Vec<Event>) {
        let bytes = events.iter().map(event_bytes).sum();
        self.bytes += bytes;
        self.items.push_back(Item {
            events: events.into(),
            bytes,
        });
        while self.items.len() > self.limits.revisions || self.bytes > self.limits.bytes {
            let Some(dropped) = self.items.pop_front() else { break };
            self.bytes -= dropped.bytes;
            self.first += 1;
        }
    }

    /// Up to `limit` revisions from one on, in order.
    pub(crate) fn since(&self, from: Revision, limit: usize) -> Result<Vec<Arc<[Event]>>, Error> {
        let Some(skip) = from.checked_sub(self.first) else {
            return Err(Error::Compacted {
                requested: from,
                oldest: self.first,
            });
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(self
            .items
            .iter()
            .skip(skip)
            .take(limit)
            .map(|item| Arc::clone(&item.events))
            .collect())
    }

    pub(super) const fn limits(&self) -> HistoryLimits {
        self.limits
    }
}

fn event_bytes(event: &Event) -> u64 {
    let payload = match event {
        Event::Put(kv) => kv.key.len() + kv.value.len(),
        Event::Delete { key, .. } => key.len(),
    };
    payload as u64 + EVENT_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(revision: Revision) -> Vec<Event> {
        vec![Event::Delete {
            key: "k".to_owned(),
            revision,
        }]
    }

    #[test]
    fn keeps_the_newest_revisions_and_says_which_is_the_oldest() {
        let mut history = History::new(
            2,
            HistoryLimits {
                revisions: 3,
                bytes: u64::MAX,
            },
        );
        for revision in 2..=6 {
            history.push(delete(revision));
        }
        assert_eq!(history.since(3, 10), Err(Error::Compacted { requested: 3, oldest: 4 }));
        let kept: Vec<_> = history
            .since(4, 10)
            .unwrap()
            .iter()
            .map(|events| events[0].revision())
            .collect();
        assert_eq!(kept, [4, 5, 6]);
        assert_eq!(history.since(5, 1).unwrap().len(), 1);
        assert!(history.since(7, 10).unwrap().is_empty());
    }

    #[test]
    fn is_bounded_by_bytes() {
        let mut history = History::new(
            2,
            HistoryLimits {
                revisions: 1000,
                bytes: 4 * (EVENT_OVERHEAD + 1),
            },
        );
        for revision in 2..=100 {
            history.push(delete(revision));
        }
        assert_eq!(history.items.len(), 4);
        assert_eq!(history.first, 97);
    }
}
