//! A watch that checks, of every item, what each of them promises.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::timeout;

use super::Store;
use crate::types::{Event, Revision};
use crate::{Error, Watch};

/// Time in which a change that has happened must show.
const SOON: Duration = Duration::from_secs(10);

/// Follows a prefix as [`Watch`] says one must: after an error that is no [`Error::Compacted`] it watches again from the
/// last seen revision + 1.
pub struct Watcher {
    store: Store,
    prefix: String,
    watch: Watch,
    /// Last revision seen, so far complete.
    seen: Revision,
}

impl Watcher {
    /// Starts watching.
    pub async fn open(store: &Store, prefix: &str, from: Revision) -> Self {
        let watch = store.watch(prefix.to_owned(), from).await.expect("the watch opens");
        Self {
            store: store.clone(),
            prefix: prefix.to_owned(),
            watch,
            seen: from.saturating_sub(1),
        }
    }

    /// The next item.
    pub async fn next(&mut self) -> Vec<Event> {
        self.next_within(SOON).await
    }

    /// The next item, which may take its time.
    pub async fn next_within(&mut self, limit: Duration) -> Vec<Event> {
        let next = async {
            loop {
                match self.watch.next().await.expect("a watch ends with an error, not in silence") {
                    Ok(events) => return events,
                    Err(error @ (Error::Unavailable(_) | Error::Timeout(_))) if self.seen > 0 => {
                        eprintln!("watching again from {}: {error}", self.seen + 1);
                        let again = self.store.watch(self.prefix.clone(), self.seen + 1).await;
                        self.watch = again.expect("the watch opens again");
                    }
                    Err(error) => panic!("the watch ended: {error}"),
                }
            }
        };
        let events = timeout(limit, next).await.expect("the change shows in the watch");
        self.check(&events);
        events
    }

    /// Items up to and with a revision, joined.
    pub async fn until(&mut self, revision: Revision) -> Vec<Event> {
        let mut events = Vec::new();
        while self.seen < revision {
            events.extend(self.next().await);
        }
        events
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.watch.next()).await.is_err()
    }

    fn check(&mut self, events: &[Event]) {
        let first = events.first().expect("an item is not empty").revision();
        assert!(first > self.seen, "revision {first} came after {}", self.seen);
        assert!(events.is_sorted_by_key(Event::revision), "out of order: {events:?}");
        for event in events {
            assert!(
                event.key().starts_with(&self.prefix),
                "{event:?} is not under {}",
                self.prefix
            );
        }
        self.seen = events.last().map_or(self.seen, Event::revision);
    }
}
