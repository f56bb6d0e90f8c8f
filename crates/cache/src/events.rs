//! What happens to entries, for those who listen: every change once, told by the primary of its key.

use serde::Deserialize;
use store::cache::{Change, ChangeKind, Key};
use tokio::sync::broadcast;

/// Events kept for a listener that is slow; beyond that it is told how many it missed.
const BACKLOG: usize = 4096;

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// It was written.
    Set,
    /// It was deleted.
    Delete,
    /// Its time was over.
    Expire,
    /// There was no room for it.
    Evict,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Set, Self::Delete, Self::Expire, Self::Evict];

    /// Its name for clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Expire => "expire",
            Self::Evict => "evict",
        }
    }
}

/// Something happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Namespace; empty is the default one.
    pub namespace: Box<str>,
    /// The key.
    pub key: Box<str>,
    /// Version written, or that of the entry that is gone.
    pub version: u64,
}

/// Where events are told.
#[derive(Debug)]
pub struct Events {
    sender: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Events {
    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// Tells of a write; nothing is looked up or copied while nobody listens.
    pub(crate) fn publish(&self, kind: EventKind, key: Key<'_>, version: impl FnOnce() -> u64) {
        if self.are_wanted() {
            self.send(kind, key.namespace, key.key, version());
        }
    }

    /// Tells of what happened by itself.
    pub(crate) fn publish_change(&self, change: &Change) {
        if self.are_wanted() {
            let kind = match change.kind {
                ChangeKind::Evicted => EventKind::Evict,
                ChangeKind::Expired => EventKind::Expire,
            };
            self.send(kind, change.namespace(), change.key(), change.version);
        }
    }

    fn send(&self, kind: EventKind, namespace: &str, key: &str, version: u64) {
        let event = Event {
            kind,
            namespace: namespace.into(),
            key: key.into(),
            version,
        };
        // Fails when the last listener left just now.
        drop(self.sender.send(event));
    }
}
