//! One operation on one key, and how it can end.

use std::sync::Arc;

use api::cache::{Condition, FrameItem, FrameOp, FrameReply, Lifetime, Packing};
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
    /// Read it, and become the one who loads it when there is nothing fresh and nobody does yet.
    Load {
        /// How long others wait for this loader, in milliseconds.
        patience_ms: u32,
    },
    /// Write it.
    Put(Write),
    /// Give what it holds another life time.
    Touch {
        /// How long it lives from now on.
        lifetime: Lifetime,
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

/// A value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The value.
    pub value: Bytes,
    /// `Content-Type` to give back; empty for none.
    pub content_type: String,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// What must hold.
    pub condition: Condition,
    packing: Packing,
}

impl Write {
    /// A value as clients send it.
    #[must_use]
    pub const fn new(value: Bytes, content_type: String, lifetime: Lifetime, condition: Condition) -> Self {
        Self {
            value,
            content_type,
            lifetime,
            condition,
            packing: Packing::Plain,
        }
    }
}

impl Action {
    /// Name in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        ACTIONS[self.kind()]
    }

    /// Its number among the kinds of actions.
    pub(super) const fn kind(&self) -> usize {
        match self {
            Self::Get => 0,
            Self::Load { .. } => 1,
            Self::Put(_) => 2,
            Self::Touch { .. } => 3,
            Self::Delete { .. } => 4,
            Self::Incr { .. } => 5,
        }
    }

    /// Whether any copy may answer it.
    pub(super) const fn is_read(&self) -> bool {
        matches!(self, Self::Get)
    }

    /// Whether it is stamped.
    pub(super) const fn is_write(&self) -> bool {
        !matches!(self, Self::Get | Self::Load { .. })
    }

    /// Whether sending it again under the same stamp changes nothing, also when the first one was executed, and another node
    /// carries out the second one: what it leaves must not depend on what was there, or two nodes could hold two values of
    /// one version.
    pub(super) const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Incr { .. } | Self::Touch { .. })
    }

    /// Bytes it brings along.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Put(write) => write.value.len() + write.content_type.len(),
            _ => 0,
        }
    }
}

/// Kinds of actions there are.
pub(super) const ACTIONS: [&str; 6] = ["get", "load", "put", "touch", "delete", "incr"];

impl Operation {
    /// Packs its value, if it brings a large one.
    pub(super) fn pack(&mut self, threshold: usize) {
        if let Action::Put(write) = &mut self.action
            && write.packing == Packing::Plain
        {
            (write.value, write.packing) = super::packing::pack(std::mem::take(&mut write.value), threshold);
        }
    }

    /// Its form on the wire, under the stamp `version`; `again` when that may have been executed before.
    pub(super) fn frame(&self, version: u64, again: bool) -> FrameItem<'_> {
        let op = match &self.action {
            Action::Get => FrameOp::Get,
            Action::Load { patience_ms } => FrameOp::Load {
                patience_ms: *patience_ms,
            },
            Action::Put(write) => FrameOp::Put {
                value: &write.value,
                content_type: &write.content_type,
                packing: write.packing,
                lifetime: write.lifetime,
                version,
                condition: write.condition,
            },
            Action::Touch { lifetime, condition } => FrameOp::Touch {
                lifetime: *lifetime,
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
            again,
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
    Hit(Found),
    /// The key holds nothing.
    Miss {
        /// The caller is the one who loads it.
        load: bool,
    },
    /// The key holds nothing, and somebody else loads it.
    Loading,
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

/// A value that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value.
    pub value: Bytes,
    /// Its `Content-Type`; empty for none.
    pub content_type: String,
    /// Its version.
    pub version: u64,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// The caller is the one who loads it anew, because it is stale.
    pub load: bool,
    packing: Packing,
}

impl Found {
    /// The same with its value unpacked; none when it cannot be.
    pub(super) fn unpack(mut self, limit: usize) -> Option<Self> {
        self.value = super::packing::unpack(self.value, self.packing, limit)?;
        self.packing = Packing::Plain;
        Some(self)
    }
}

/// How operations end, in metrics.
pub(super) const RESULTS: [&str; 5] = ["hit", "miss", "ok", "conflict", "error"];

impl Outcome {
    /// Its place in [`RESULTS`].
    pub(super) const fn kind(&self) -> usize {
        match self {
            Self::Hit(_) => 0,
            Self::Miss { .. } | Self::Loading | Self::Deleted { existed: false } => 1,
            Self::PreconditionFailed { .. } => 3,
            _ => 2,
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
                packing,
                version,
                lifetime,
                load,
            } => Outcome::Hit(Found {
                value: buffer.slice_ref(value),
                content_type: content_type.to_owned(),
                version,
                lifetime,
                load,
                packing,
            }),
            FrameReply::Miss { load } => Outcome::Miss { load },
            FrameReply::Loading => Outcome::Loading,
            FrameReply::Stored { version, created } => Outcome::Stored { version, created },
            FrameReply::Deleted { existed } => Outcome::Deleted { existed },
            FrameReply::Counter { value, version } => Outcome::Counter { value, version },
            FrameReply::PreconditionFailed { version } => Outcome::PreconditionFailed { version },
            FrameReply::Stale { version } => return Self::Stale(version),
            FrameReply::Failed { code, detail } => return Self::Failed(Failure::new(code, detail)),
        })
    }
}
