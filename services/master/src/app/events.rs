//! What happens to entries: the streams of all auxiliaries as one, for those who listen on this master.
//!
//! The auxiliaries are listened to once, however many clients listen here, and only while any does (`background/events`).
//! Nothing is kept: who is too slow, or whose auxiliary was lost, is told that something was missed, and how much if known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::{BootId, NodeId};
pub use cache::events::EventKind as Kind;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::auxiliaries::Auxiliaries;

/// Events kept for a listener that is slow.
const BACKLOG: usize = 4096;
/// Clients that may listen here at once.
pub const MAX_LISTENERS: usize = 256;

/// Something that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// An entry changed.
    Change {
        /// How.
        kind: Kind,
        /// Its namespace; empty is the default one.
        namespace: String,
        /// Its key.
        key: String,
        /// All of it as JSON, as its auxiliary wrote it.
        json: String,
    },
    /// Events were missed: so many, if that is known.
    Missed {
        /// How many.
        count: Option<u64>,
    },
}

/// Which changes a listener wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of this namespace; of all when absent.
    pub namespace: Option<Arc<str>>,
    /// Of keys that begin so.
    pub prefix: String,
    /// Of these kinds.
    pub kinds: Vec<Kind>,
}

impl Filter {
    fn admits(&self, told: &Told) -> bool {
        match told {
            Told::Change {
                kind, namespace, key, ..
            } => {
                self.kinds.contains(kind)
                    && self.namespace.as_ref().is_none_or(|wanted| **wanted == **namespace)
                    && key.starts_with(&self.prefix)
            }
            Told::Missed { .. } => true,
        }
    }

    /// What is missed is counted over all namespaces: who listens to one is not told how much of it was others'.
    fn passed(&self, told: Arc<Told>) -> Arc<Told> {
        match &*told {
            Told::Missed { count: Some(_) } if self.namespace.is_some() => Arc::new(Told::Missed { count: None }),
            _ => told,
        }
    }
}

/// One life of an auxiliary that is listened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) id: NodeId,
    pub(crate) boot_id: BootId,
    pub(crate) address: String,
}

/// The streams of all auxiliaries. Keep [`Events::run`] running.
#[derive(Debug)]
pub struct Events {
    pub(crate) auxiliaries: Auxiliaries,
    sender: broadcast::Sender<Arc<Told>>,
    listeners: watch::Sender<usize>,
    heard: watch::Sender<BTreeSet<Source>>,
}

impl Events {
    /// Events of these auxiliaries.
    #[must_use]
    pub fn new(auxiliaries: Auxiliaries) -> Arc<Self> {
        Arc::new(Self {
            auxiliaries,
            sender: broadcast::Sender::new(BACKLOG),
            listeners: watch::Sender::new(0),
            heard: watch::Sender::default(),
        })
    }

    /// Listens from now on; none when too many do.
    #[must_use]
    pub fn listen(self: &Arc<Self>, filter: Filter) -> Option<Listener> {
        let admitted = self.listeners.send_if_modified(|count| {
            let admitted = *count < MAX_LISTENERS;
            *count += usize::from(admitted);
            admitted
        });
        admitted.then(|| Listener {
            events: Arc::clone(self),
            filter,
            receiver: self.sender.subscribe(),
        })
    }

    /// Follows how many listen.
    pub(crate) fn listeners(&self) -> watch::Receiver<usize> {
        self.listeners.subscribe()
    }

    pub(crate) fn tell(&self, told: Told) {
        // Fails when the last listener left just now.
        drop(self.sender.send(Arc::new(told)));
    }

    /// Everybody who tells of changes: one stream each, by its life.
    pub(crate) fn sources(&self) -> BTreeSet<Source> {
        let routing = self.auxiliaries.routing();
        let serving = routing.nodes().filter(|index| routing.is_serving(*index));
        let owners = serving.filter_map(|index| routing.node(index));
        owners
            .map(|owner| Source {
                id: owner.id.clone(),
                boot_id: owner.boot_id,
                address: owner.address.clone(),
            })
            .collect()
    }

    /// Notes that a life is heard, until the guard is dropped.
    pub(crate) fn heard(self: &Arc<Self>, source: &Source) -> Heard {
        self.heard.send_if_modified(|heard| heard.insert(source.clone()));
        Heard {
            events: Arc::clone(self),
            source: source.clone(),
        }
    }
}

/// A life is heard as long as this lives.
#[derive(Debug)]
pub(crate) struct Heard {
    events: Arc<Events>,
    source: Source,
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.events.heard.send_if_modified(|heard| heard.remove(&self.source));
    }
}

/// A client that listens.
#[derive(Debug)]
pub struct Listener {
    events: Arc<Events>,
    filter: Filter,
    receiver: broadcast::Receiver<Arc<Told>>,
}

impl Listener {
    /// Waits until every auxiliary of the ring is heard, `at_most` so long: whether they all are. From then on nothing is
    /// missed that is not said to be.
    pub async fn settled(&self, at_most: Duration) -> bool {
        let mut heard = self.events.heard.subscribe();
        let all = heard.wait_for(|heard| self.events.sources().is_subset(heard));
        tokio::time::timeout(at_most, all).await.is_ok_and(|all| all.is_ok())
    }

    /// The next event that passes the filter.
    pub async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            match self.receiver.recv().await {
                Ok(told) if self.filter.admits(&told) => return Some(self.filter.passed(told)),
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(self.filter.passed(Arc::new(Told::Missed { count: Some(count) }))),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events.listeners.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_looks_at_kind_namespace_and_prefix() {
        let filter = |namespace: Option<&str>, prefix: &str, kinds: &[Kind]| Filter {
            namespace: namespace.map(Arc::from),
            prefix: prefix.to_owned(),
            kinds: kinds.to_vec(),
        };
        let told = Told::Change {
            kind: Kind::Set,
            namespace: "n".to_owned(),
            key: "user/1".to_owned(),
            json: String::new(),
        };
        for (admits, filter) in [
            (true, filter(None, "", &Kind::ALL)),
            (true, filter(Some("n"), "user/", &[Kind::Set])),
            (false, filter(Some(""), "", &Kind::ALL)),
            (false, filter(None, "users", &Kind::ALL)),
            (false, filter(None, "", &[Kind::Delete, Kind::Expire, Kind::Evict])),
        ] {
            assert_eq!(filter.admits(&told), admits, "{filter:?}");
        }
        let missed = Arc::new(Told::Missed { count: Some(3) });
        let (one, all) = (filter(Some("other"), "x", &[]), filter(None, "", &[]));
        assert!(one.admits(&missed) && all.admits(&missed));
        assert_eq!(*one.passed(Arc::clone(&missed)), Told::Missed { count: None });
        assert_eq!(all.passed(Arc::clone(&missed)), missed);
    }
}
