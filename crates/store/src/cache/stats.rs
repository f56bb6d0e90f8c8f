//! What the cache has done so far.

/// Counters since the start, and current sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Reads that found a value.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Entries dropped because there were too many.
    pub evictions_by_entries: u64,
    /// Entries dropped because they took too many bytes.
    pub evictions_by_bytes: u64,
    /// Entries dropped because their time was over.
    pub expirations: u64,
    /// Entries held.
    pub entries: usize,
    /// Memory held: keys, values, content types and bookkeeping.
    pub bytes: usize,
}
