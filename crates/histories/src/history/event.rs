//! One line of a history.

use serde::{Deserialize, Serialize};

use super::{Answer, Op, Value};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Logical time: its place in the record. What has the smaller time happened before.
    pub at: u64,
    /// Microseconds since the run began, for people.
    pub us: u64,
    /// Who: a client with one operation under way at a time, or a watcher. A client whose operation ended in
    /// [`What::Info`] goes on under another number.
    pub process: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum What {
    /// An operation was sent.
    Invoke {
        /// What was asked.
        op: Op,
        /// Of whom.
        via: String,
    },
    /// It was executed.
    Ok {
        /// What was told.
        answer: Answer,
    },
    /// It was certainly not executed, and never will be.
    Fail {
        /// Why.
        reason: String,
    },
    /// Nobody knows: it may have been executed, or may still be.
    Info {
        /// Why.
        reason: String,
    },
    /// A watcher saw something.
    Watch {
        /// What.
        seen: Seen,
    },
    /// Something for people: a fault, a phase of the run.
    Note {
        /// What.
        text: String,
    },
}

/// What a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// A stream began, the first one or a later one.
    Opened {
        /// Keys watched.
        prefix: String,
        /// First revision that it should show.
        from: u64,
    },
    /// A change.
    Change {
        /// Of which key.
        key: String,
        /// What it holds now; nothing when it was removed.
        value: Option<Value>,
        /// At which revision.
        revision: u64,
    },
    /// The stream ended; the watcher opens another one where it left off.
    Broken {
        /// Why.
        reason: String,
    },
    /// The revision asked for is gone: what follows may begin later.
    Compacted,
    /// The watcher stops, having seen everything up to this revision.
    Closed {
        /// The last write of the run.
        revision: u64,
    },
}
