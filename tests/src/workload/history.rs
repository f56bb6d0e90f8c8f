//! What was asked and what was answered.

use std::fmt;
use std::time::Duration;

/// A key of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Written by one client only, read by all.
    Own {
        /// Who writes it.
        client: u16,
        /// Which of its keys.
        number: u16,
    },
    /// Written and read all the time, each by a client of its own: shows outages.
    Probe(u16),
    /// Incremented by all.
    Counter(u16),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { client, number } => write!(f, "client-{client}-{number}"),
            Self::Probe(number) => write!(f, "probe-{number}"),
            Self::Counter(number) => write!(f, "counter-{number}"),
        }
    }
}

/// What a client asks. A write's `write` is its place among the writes of its key, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Read.
    Get,
    /// Write the value that belongs to `write`.
    Put {
        /// Which write of the key it is.
        write: u32,
        /// How long the value lives.
        ttl: Option<Duration>,
        /// What must hold for it to be applied.
        condition: Condition,
    },
    /// Remove.
    Delete {
        /// Which write of the key it is.
        write: u32,
    },
    /// Add one.
    Incr,
}

/// Precondition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    None,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match` with the ETag that this write of the key got.
    Holds(u32),
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed.
    Done(Told),
    /// Its condition did not hold: not executed, and something is known of the key.
    Refused,
    /// It was certainly not executed.
    NotExecuted(Reason),
    /// Nobody knows.
    Unknown(Reason),
}

/// What the answer of an executed request said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A read: what the key holds.
    Read(Found),
    /// A put: whether the key held nothing before.
    Stored {
        /// Whether it was new.
        created: bool,
    },
    /// A delete: whether the key held something.
    Deleted {
        /// Whether there was something to remove.
        existed: bool,
    },
    /// A counter's value.
    Counter(i64),
}

/// What a key was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// The value of this write, byte by byte.
    Write(u32),
    /// What no client ever wrote to this key.
    Foreign(String),
}

/// Why a request was not answered as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// This status.
    Status(u16),
    /// No connection could be made.
    NoConnection,
    /// No answer came in time.
    TimedOut,
    /// The connection broke.
    Broken,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::NoConnection => f.write_str("no connection"),
            Self::TimedOut => f.write_str("no answer"),
            Self::Broken => f.write_str("broken connection"),
        }
    }
}

/// One request. Times count from the beginning of the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// About which key.
    pub key: Key,
    /// What was asked.
    pub op: Op,
    /// Through which door (by place in the list of doors).
    pub door: usize,
    /// When it was sent.
    pub invoked: Duration,
    /// When it was answered or given up.
    pub returned: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What the answer said of itself: its ETag and the node it came from. Not judged, but good to know.
    pub source: String,
}

/// The record of a load.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Every request, in no particular order.
    pub events: Vec<Event>,
}

impl History {
    /// Every key that was asked for, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.events.iter().map(|event| event.key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
