//! The vocabulary of writes.

pub use api::cache::Condition;
use api::cache::{Lifetime, Packing};

/// Whether a condition holds for a key with this version, or with nothing.
pub(super) fn holds(condition: Condition, held: Option<u64>) -> bool {
    match condition {
        Condition::None => true,
        Condition::Absent => held.is_none(),
        Condition::Present => held.is_some(),
        Condition::Version(version) => held == Some(version),
    }
}

/// A write.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// The value; copied.
    pub value: &'a [u8],
    /// `Content-Type` to give back, empty for none; copied.
    pub content_type: &'a str,
    /// How the value is packed.
    pub packing: Packing,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Stamp of this write, the same in every repetition of it.
    pub version: u64,
    /// What must hold.
    pub condition: Condition,
}

/// Another life time for what is there.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// How long it lives from now on.
    pub lifetime: Lifetime,
    /// Stamp of this write, the same in every repetition of it.
    pub version: u64,
    /// What must hold.
    pub condition: Condition,
}

/// The value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Version now held.
    pub version: u64,
    /// Whether the key held nothing before.
    pub created: bool,
}

/// The key holds nothing now, but for a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Whether it held something before.
    pub existed: bool,
}

/// The counter was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Its new value.
    pub value: i64,
    /// Version now held.
    pub version: u64,
}

/// A write that was not applied, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The condition did not hold.
    #[error("the condition does not hold")]
    PreconditionFailed {
        /// Version held, if any.
        held: Option<u64>,
    },
    /// A newer version (of an entry or of its deletion), or another write of the same stamp, is held: stamp this one again.
    #[error("version {held} is not older than this write")]
    Stale {
        /// Version held.
        held: u64,
    },
    /// The entry alone would not fit in the whole cache, or in the quota of its namespace.
    #[error(
        "the entry takes {bytes} bytes with its bookkeeping; at most {limit} fit (CACHE_MAX_BYTES, or the quota of its namespace)"
    )]
    TooLarge {
        /// What it would take.
        bytes: usize,
        /// What there is.
        limit: usize,
    },
    /// A `Content-Type` longer than [`MAX_CONTENT_TYPE_BYTES`](super::MAX_CONTENT_TYPE_BYTES).
    #[error("the content type has {bytes} bytes; at most {max} are kept", max = super::MAX_CONTENT_TYPE_BYTES)]
    ContentTypeTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// An increment of something that is no integer.
    #[error("the value is not a decimal 64-bit integer")]
    NotAnInteger,
    /// An increment beyond the range of 64-bit integers.
    #[error("the sum does not fit in 64 bits")]
    Overflow,
}
