//! Watchers, which go on elsewhere when a stream ends, and now and then for no reason.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::StreamExt as _;
use parking_lot::Mutex;

use super::truth::Truth;
use super::world::{Running, World};
use crate::ControlStore as _;
use crate::error::Error;
use crate::types::{Consistency, Event, Range, RangeResponse, Revision};

/// The last write of a run, which every watcher has to see.
pub(super) const END: &str = "kv/end";

/// What a watcher saw.
#[derive(Debug, Default)]
pub(super) struct Log {
    prefix: String,
    streams: Vec<Stream>,
    /// What it was shown in place of changes that were gone, and where.
    listings: Vec<(String, RangeResponse)>,
    ended: bool,
}

#[derive(Debug)]
struct Stream {
    via: String,
    from: Revision,
    items: Vec<Vec<Event>>,
}

/// A watcher.
pub(super) struct Watcher {
    pub(super) world: Arc<World>,
    pub(super) rng: Rng,
    pub(super) log: Arc<Mutex<Log>>,
}

impl Log {
    pub(super) fn of(prefix: &str) -> Arc<Mutex<Self>> {
        let prefix = prefix.to_owned();
        Arc::new(Mutex::new(Self {
            prefix,
            ..Self::default()
        }))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn take(&mut self, events: Vec<Event>) -> Revision {
        self.ended |= events.iter().any(|event| event.key() == END);
        let revision = events.first().map_or(0, Event::revision);
        if let Some(stream) = self.streams.last_mut() {
            stream.items.push(events);
        }
        revision
    }

    /// The last write may be among the changes that are gone: then only a listing shows it.
    fn list(&mut self, via: &str, listing: RangeResponse) -> Revision {
        self.ended |= listing.items.iter().any(|pair| pair.key == END);
        let revision = listing.revision;
        self.listings.push((via.to_owned(), listing));
        revision
    }

    /// Every stream shows all changes from its revision on, each once and in order, up to where it ended; every listing what
    /// was there at its revision.
    pub(super) fn judge(&self, truth: &Truth) -> Vec<String> {
        let mut wrong = Vec::new();
        for (via, listing) in &self.listings {
            let wanted = truth.list(&self.prefix, listing.revision);
            if listing.items != wanted {
                wrong.push(format!("a watcher at {via} was shown {listing:?} in place of {wanted:?}"));
            }
        }
        for stream in &self.streams {
            let mut items = stream.items.iter();
            for (revision, events, _) in truth.all().filter(|(revision, ..)| *revision >= stream.from) {
                let wanted: Vec<Event> = events
                    .iter()
                    .filter(|event| event.key().starts_with(&self.prefix))
                    .cloned()
                    .collect();
                if wanted.is_empty() {
                    continue;
                }
                match items.next() {
                    Some(seen) if *seen == wanted => {}
                    None => break,
                    Some(seen) => {
                        let (via, from) = (&stream.via, stream.from);
                        wrong.push(format!(
                            "a watch at {via} from {from} showed {seen:?} in place of {wanted:?} at {revision}"
                        ));
                        break;
                    }
                }
            }
            wrong.extend(
                items
                    .next()
                    .map(|more| format!("a watch at {} showed {more:?}, which never was", stream.via)),
            );
        }
        if !self.ended {
            wrong.push(format!("a watch of {:?} did not come to the end", self.prefix));
        }
        wrong
    }
}

impl Watcher {
    pub(super) async fn run(mut self) {
        let mut next: Revision = 2;
        while !self.log.lock().ended {
            let running = self.world.running();
            if running.is_empty() {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            let master = running[self.rng.usize(..running.len())].clone();
            self.log.lock().streams.push(Stream {
                via: master.name.clone(),
                from: next,
                items: Vec::new(),
            });
            let (process, log) = (Arc::clone(&master.process), Arc::clone(&self.log));
            let seen = Arc::new(Mutex::new(next));
            let watching = process.spawn(follow(master, next, log, Arc::clone(&seen)));
            let stop = watching.abort_handle();
            // However it ends, it goes on after what was seen.
            let _ = tokio::time::timeout(Duration::from_millis(self.rng.u64(200..6_000)), watching).await;
            stop.abort();
            next = *seen.lock();
            tokio::time::sleep(Duration::from_millis(self.rng.u64(10..200))).await;
        }
    }
}

/// Follows one stream to its end, and lists when what it asked for is gone there.
async fn follow(master: Running, from: Revision, log: Arc<Mutex<Log>>, next: Arc<Mutex<Revision>>) {
    let prefix = log.lock().prefix.clone();
    let Ok(mut stream) = master.store.watch(prefix.clone(), from).await else {
        return;
    };
    while let Some(item) = stream.next().await {
        match item {
            Ok(events) => *next.lock() = log.lock().take(events) + 1,
            Err(Error::Compacted { .. }) => {
                if let Ok(listing) = master.store.range(Range::prefix(prefix), Consistency::Stale).await {
                    *next.lock() = log.lock().list(&master.name, listing) + 1;
                }
                return;
            }
            Err(_) => return,
        }
    }
}
