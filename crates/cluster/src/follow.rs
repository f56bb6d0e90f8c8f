//! List, then watch: the one way in which keys are followed.

use std::sync::Arc;
use std::time::Duration;

use control::{Consistency, ControlStore, Event, KeyValue, Range, Revision};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(2);

/// What a follower hears.
pub enum Update {
    /// Everything there is, at a revision; what was known before and is not in it is gone.
    Listed(Vec<KeyValue>, Revision),
    /// Changes since then, in order.
    Changed(Vec<Event>),
}

impl Update {
    /// The same one revision after the other: what was done in one transaction stays together, what was not is told apart.
    pub(crate) fn by_revision(self) -> Vec<Self> {
        match self {
            Self::Changed(events) => {
                let mut steps: Vec<Vec<Event>> = Vec::new();
                for event in events {
                    match steps.last_mut() {
                        Some(step) if step[0].revision() == event.revision() => step.push(event),
                        _ => steps.push(vec![event]),
                    }
                }
                steps.into_iter().map(Self::Changed).collect()
            }
            listed => vec![listed],
        }
    }
}

/// Why a watch ended.
enum Ended {
    /// Watch again from the next revision.
    Broken(control::Error),
    /// Events were missed: list again.
    Missed,
}

/// Tells `hear` everything about keys that begin with `prefix` until `stop`. While the store is silent it hears nothing,
/// and so keeps what it knows.
pub async fn follow(store: &Arc<dyn ControlStore>, prefix: &str, stop: &CancellationToken, mut hear: impl FnMut(Update) + Send) {
    let followed = async {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match store.range(Range::prefix(prefix), Consistency::Linearizable).await {
                Ok(listing) => {
                    backoff = FIRST_BACKOFF;
                    hear(Update::Listed(listing.items, listing.revision));
                    watch(store, prefix, listing.revision + 1, &mut hear).await;
                }
                Err(error) => pause(prefix, &error, &mut backoff).await,
            }
        }
    };
    tokio::select! {
        () = followed => {}
        () = stop.cancelled() => {}
    }
}

/// Watches until events are missed.
async fn watch(store: &Arc<dyn ControlStore>, prefix: &str, mut from: Revision, hear: &mut (impl FnMut(Update) + Send)) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let before = from;
        match watch_once(store, prefix, &mut from, hear).await {
            Ended::Missed => return,
            Ended::Broken(error) => {
                if from > before {
                    backoff = FIRST_BACKOFF;
                }
                pause(prefix, &error, &mut backoff).await;
                if has_gone_back(store, prefix, from).await {
                    return;
                }
            }
        }
    }
}

/// Whether the store's history ends before what was heard: its data was lost, and a watch would wait for revisions that others than
/// ours will have.
async fn has_gone_back(store: &Arc<dyn ControlStore>, prefix: &str, from: Revision) -> bool {
    let look = Range {
        limit: 1,
        ..Range::prefix(prefix)
    };
    match store.range(look, Consistency::Linearizable).await {
        Ok(listing) if listing.revision + 1 < from => {
            error!(
                prefix,
                known = from - 1,
                found = listing.revision,
                "the control store has lost its data, or is another one: going on with what is there; restore it from a backup of its \
                 own, and restart all nodes"
            );
            true
        }
        _ => false,
    }
}

async fn watch_once(
    store: &Arc<dyn ControlStore>,
    prefix: &str,
    from: &mut Revision,
    hear: &mut (impl FnMut(Update) + Send),
) -> Ended {
    let ended = |error| {
        if matches!(error, control::Error::Compacted { .. }) {
            Ended::Missed
        } else {
            Ended::Broken(error)
        }
    };
    let mut events = match store.watch(prefix.to_owned(), *from).await {
        Ok(events) => events,
        Err(error) => return ended(error),
    };
    while let Some(batch) = events.next().await {
        match batch {
            Ok(batch) => {
                *from = batch.iter().map(|event| event.revision() + 1).fold(*from, Revision::max);
                hear(Update::Changed(batch));
            }
            Err(error) => return ended(error),
        }
    }
    Ended::Broken(control::Error::Unavailable("the watch ended".to_owned()))
}

async fn pause(prefix: &str, error: &control::Error, backoff: &mut Duration) {
    warn!(prefix, %error, again_in = ?backoff, "the control store is silent; what is known of it stays as it is");
    tokio::time::sleep(*backoff).await;
    *backoff = (*backoff * 2).min(LAST_BACKOFF);
}
