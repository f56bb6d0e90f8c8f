//! The vocabulary of writes.

/// What must hold for a write to be applied; checked under the key's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Always.
    #[default]
    None,
    /// The key holds nothing.
    Absent,
    /// The key holds something.
    Present,
    /// The key holds this version.
    Version(u64),
}

impl Condition {
    /// Whether it holds for a key with this version, or with nothing.
    pub(super) fn holds(self, held: Option<u64>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => held.is_none(),
            Self::Present => held.is_some(),
            Self::Version(version) => held == Some(version),
        }
    }
}

/// A write.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// The value; copied.
    pub value: &'a [u8],
    /// `Content-Type` to give back, empty for none; copied.
    pub content_type: &'a str,
    /// Unix milliseconds at which it expires; 0 never.
    pub expires_at_ms: u64,
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

/// The key holds nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Whether it held something before. A repetition of a delete says no.
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
    /// A newer version, or another write of the same stamp, is held: stamp this one again.
    #[error("version {held} is not older than this write")]
    Stale {
        /// Version held.
        held: u64,
    },
    /// The entry alone would not fit in the whole cache.
    #[error("the entry takes {bytes} bytes with its bookkeeping; the cache holds at most {limit} (CACHE_MAX_BYTES)")]
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
