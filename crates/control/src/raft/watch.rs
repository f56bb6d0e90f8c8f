//! Watches: a cursor into the history of changes.
//!
//! Nothing is queued for a watcher. It reads the shared history when it is polled and waits for more when it has seen
//! all, so that a slow one costs nothing, and learns that it fell behind when the history has moved on without it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use openraft::async_runtime::WatchReceiver as _;
use openraft::type_config::alias::WatchReceiverOf;
use tokio_util::sync::CancellationToken;

use super::RaftStore;
use super::machine::Applied;
use super::types::TypeConfig;
use crate::Result;
use crate::error::Error;
use crate::state::FIRST_REVISION;
use crate::types::{Event, Revision};

/// Silence after which a watch makes sure that it would hear of a change.
const QUIET: Duration = Duration::from_secs(10);

/// Revisions looked at under one lock of the state.
const LOOK: usize = 256;

/// A watch under way.
pub(super) struct Follower {
    applied: Arc<Applied>,
    progress: WatchReceiverOf<TypeConfig, u64>,
    /// Whose it is.
    store: Weak<RaftStore>,
    stopping: CancellationToken,
    prefix: String,
    next: Revision,
    ready: VecDeque<Vec<Event>>,
}

impl Follower {
    pub(super) fn new(store: &RaftStore, prefix: String, from: Revision) -> Self {
        Self {
            applied: Arc::clone(&store.applied),
            progress: store.applied.progress(),
            store: store.local.endpoint.store(),
            stopping: store.stopping.clone(),
            prefix,
            // Nothing changed at the first revision, that of an empty store: from there on is from the first change on.
            next: from.max(FIRST_REVISION + 1),
            ready: VecDeque::new(),
        }
    }

    /// One item per revision that has a change of interest; ends after the first error.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Vec<Event>>> + Send {
        unfold(Some(self), |follower| async {
            let mut follower = follower?;
            match follower.step().await {
                Ok(events) => Some((Ok(events), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn step(&mut self) -> Result<Vec<Event>> {
        loop {
            if let Some(events) = self.ready.pop_front() {
                return Ok(events);
            }
            // Seen before looking, so that a change in between wakes the wait.
            drop(self.progress.borrow_and_update());
            let items = self.applied.look(|state| state.history().since(self.next, LOOK))?;
            if items.is_empty() {
                tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => return Err(stopped()),
                    changed = self.progress.changed() => changed.map_err(|_| stopped())?,
                    () = tokio::time::sleep(QUIET) => self.in_touch().await?,
                }
                continue;
            }
            self.next += items.len() as Revision;
            for item in items {
                let wanted: Vec<Event> = item
                    .iter()
                    .filter(|event| event.key().starts_with(&self.prefix))
                    .cloned()
                    .collect();
                if !wanted.is_empty() {
                    self.ready.push_back(wanted);
                }
            }
        }
    }
}

impl Follower {
    /// Silence may be peace, or a master that hears of nothing any more: its watchers must look for another.
    async fn in_touch(&self) -> Result<()> {
        let store = self.store.upgrade().ok_or_else(stopped)?;
        store.linearize().await
    }
}

fn stopped() -> Error {
    Error::Unavailable("the raft engine has stopped".to_owned())
}
