//! What is known of one key, and of an operation on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::world::BEGIN;

/// How far clocks are off at most, in microseconds.
pub(crate) const SKEW: u64 = 250_000;
/// 2024-01-01T00:00:00Z, from which stamps count.
const STAMPS_BEGIN: u64 = 1_704_067_200_000_000;

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Put { value: String, expires_at_ms: u64 },
    Touch { expires_at_ms: u64 },
    Delete,
    Incr,
}

impl Change {
    pub(super) const fn expires_at_ms(&self) -> u64 {
        match self {
            Self::Put { expires_at_ms, .. } | Self::Touch { expires_at_ms } => *expires_at_ms,
            _ => 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Under way, or its outcome is not known.
    Open,
    Acknowledged,
    /// Certainly not executed.
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) change: Change,
    pub(super) fate: Fate,
    pub(super) era: u32,
    pub(super) version: Option<u64>,
    /// The latest stamp it can have.
    pub(super) latest: Option<u64>,
    pub(super) seen: bool,
}

impl Write {
    /// Whether what it wrote has expired, perhaps.
    pub(super) fn is_over(&self, now_us: u64) -> bool {
        let at_ms = self.change.expires_at_ms();
        at_ms != 0 && at_ms * 1_000 <= now_us + SKEW
    }
}

/// One key.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) floor: u64,
    pub(super) writes: Vec<Write>,
    /// Deletes that were carried out: the master that sent each, its version, and when.
    pub(super) deletes: Vec<(u8, u64, u64)>,
    /// Which value a version belongs to.
    pub(super) values: BTreeMap<u64, String>,
    /// How often the floor went down, see [`Model::acknowledge`].
    pub(super) turn: u32,
    /// Acknowledged writes under a condition: the version they replaced, and their own.
    pub(super) swaps: Vec<(u32, u64, u64)>,
    /// Acknowledged increments, and those that may have been executed.
    pub(super) counted: u64,
    pub(super) at_most: u64,
    pub(super) sums: BTreeSet<(u32, i64)>,
}

impl History {
    /// Whether the write of this version, or one that may have come right behind it, has expired.
    pub(super) fn has_expired(&self, version: u64, now_us: u64) -> bool {
        let expired = |write: &Write| {
            let latest = write.version.or(write.latest.map(stamp)).unwrap_or(u64::MAX);
            write.fate != Fate::Failed && write.is_over(now_us) && latest >= version
        };
        self.writes.iter().any(expired)
    }
}

/// An operation that has begun.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(super) key: String,
    pub(super) write: Option<usize>,
    pub(super) floor: u64,
    pub(super) counted: u64,
    pub(super) era: u32,
    pub(crate) began_us: u64,
    pub(super) turn: u32,
}

impl Token {
    pub(crate) const fn is_read(&self) -> bool {
        self.write.is_none()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.key, self.floor)
    }
}

/// The stamp of a clock that is right.
pub(super) const fn stamp(us_since_1970: u64) -> u64 {
    us_since_1970.saturating_sub(STAMPS_BEGIN)
}

const _: () = assert!(BEGIN.as_micros() as u64 > STAMPS_BEGIN);
