//! One operation on one key, and how it can end.

use std::sync::Arc;

use api::cache::{Condition, FrameItem, FrameOp, FrameReply};
use api::{ErrorCode, Key};
use bytes::Bytes;

/// What a client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Namespace; empty is the default one.
    pub namespace: Arc<str>,
    /// The key.
    pub key: Key,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read it.
    Get,
    /// Write it.
    Put {
        /// The value.
        value: Bytes,
        /// `Content-Type` to give back; empty for none.
        content_type: String,
        /// Unix milliseconds at which it expires; 0 never.
        expires_at_ms: u64,
        /// What must hold.
        condition: Condition,
    },
    /// Remove it.
    Delete {
        /// What must hold.
        condition: Condition,
    },
    /// Add to the integer it holds.
    Incr {
        /// How much.
        by: i64,
    },
}

impl Action {
    /// Name in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put { .. } => "put",
            Self::Delete { .. } => "delete",
            Self::Incr { .. } => "incr",
        }
    }

    /// Whether repeating it changes nothing.
    pub(super) const fn is_read(&self) -> bool {
        matches!(self, Self::Get)
    }

    /// Bytes it brings along.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put { value, content_type, .. } => value.len() + content_type.len(),
            _ => 0,
        }
    }
}

impl Operation {
    /// Its form on the wire, under the stamp `version`.
    pub(super) fn frame(&self, version: u64) -> FrameItem<'_> {
        let op = match &self.action {
            Action::Get => FrameOp::Get,
            Action::Put {
                value,
                content_type,
                expires_at_ms,
                condition,
            } => FrameOp::Put {
                value,
                content_type,
                expires_at_ms: *expires_at_ms,
                version,
                condition: *condition,
            },
            Action::Delete { condition } => FrameOp::Delete {
                version,
                condition: *condition,
            },
            Action::Incr { by } => FrameOp::Incr { by: *by, version },
        };
        FrameItem {
            namespace: &self.namespace,
            key: self.key.as_str(),
            op,
        }
    }
}

/// Who answered, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The auxiliary.
    pub node: Arc<str>,
    /// Its answer.
    pub outcome: Outcome,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The key holds this.
    Hit {
        /// The value.
        value: Bytes,
        /// Its `Content-Type`; empty for none.
        content_type: String,
        /// Its version.
        version: u64,
        /// Unix milliseconds at which it expires; 0 never.
        expires_at_ms: u64,
    },
    /// The key holds nothing.
    Miss,
    /// Written.
    Stored {
        /// Version now held.
        version: u64,
        /// Whether the key was new.
        created: bool,
    },
    /// Removed.
    Deleted {
        /// Whether there was something to remove.
        existed: bool,
    },
    /// Incremented.
    Counter {
        /// The new value.
        value: i64,
        /// Version now held.
        version: u64,
    },
    /// The condition did not hold.
    PreconditionFailed {
        /// Version held, 0 for none.
        version: u64,
    },
}

impl Outcome {
    /// Name in metrics.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Miss => "miss",
            Self::Deleted { existed: false } => "miss",
            Self::PreconditionFailed { .. } => "conflict",
            _ => "ok",
        }
    }
}

/// Why an operation has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// The public code: 503 means not executed, 504 unknown.
    pub code: ErrorCode,
    /// What happened and what to do.
    pub detail: String,
}

impl Failure {
    pub(super) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// What an auxiliary said about one operation.
#[derive(Debug)]
pub(super) enum Said {
    /// It is done.
    Done(Outcome),
    /// A newer version is there: stamp above it and send again.
    Stale(u64),
    /// It cannot be done.
    Failed(Failure),
}

impl Said {
    /// Takes a reply off the wire; values stay slices of the received buffer.
    pub(super) fn from_frame(reply: FrameReply<'_>, buffer: &Bytes) -> Self {
        Self::Done(match reply {
            FrameReply::Hit {
                value,
                content_type,
                version,
                expires_at_ms,
            } => Outcome::Hit {
                value: buffer.slice_ref(value),
                content_type: content_type.to_owned(),
                version,
                expires_at_ms,
            },
            FrameReply::Miss => Outcome::Miss,
            FrameReply::Stored { version, created } => Outcome::Stored { version, created },
            FrameReply::Deleted { existed } => Outcome::Deleted { existed },
            FrameReply::Counter { value, version } => Outcome::Counter { value, version },
            FrameReply::PreconditionFailed { version } => Outcome::PreconditionFailed { version },
            FrameReply::Stale { version } => return Self::Stale(version),
            FrameReply::Failed { code, detail } => return Self::Failed(Failure::new(code, detail)),
        })
    }
}
