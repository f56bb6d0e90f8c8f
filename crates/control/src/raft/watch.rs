//! Watches: a cursor into the history of changes.
//!
//! Nothing is queued for a watcher. It reads the shared history when it is polled and waits for more when it has seen
//! all, so that a slow one costs nothing, and learns that it fell behind when the history has moved on without it.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::machine::Applied;
use crate::Result;
use crate::error::Error;
use crate::types::{Event, Revision};

/// Revisions looked at under one lock of the state.
const LOOK: usize = 256;

/// A watch under way.
pub(super) struct Follower {
    applied: Arc<Applied>,
    progress: Receiver<u64>,
    stopping: CancellationToken,
    prefix: String,
    next: Revision,
    ready: VecDeque<Vec<Event>>,
}

impl Follower {
    pub(super) fn new(applied: Arc<Applied>, stopping: CancellationToken, prefix: String, from: Revision) -> Self {
        let progress = applied.progress();
        Self {
            applied,
            progress,
            stopping,
            prefix,
            next: from,
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
            self.progress.mark_unchanged();
            let items = self.applied.look(|state| state.history().since(self.next, LOOK))?;
            if items.is_empty() {
                tokio::select! {
                    () = self.stopping.cancelled() => return Err(stopped()),
                    changed = self.progress.changed() => changed.map_err(|_| stopped())?,
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

fn stopped() -> Error {
    Error::Unavailable("the raft engine has stopped".to_owned())
}
