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
    /// Entries dropped because their namespace was over its quota.
    pub evictions_by_quota: u64,
    /// Entries dropped because their time was over.
    pub expirations: u64,
    /// Tombstones dropped before their time, because there were too many.
    pub tombstones_lost: u64,
    /// [Changes](super::Change) dropped because nobody took them in time.
    pub changes_lost: u64,
    /// Entries held.
    pub entries: usize,
    /// Memory held: keys, values, content types, tombstones and bookkeeping.
    pub bytes: usize,
    /// Entries this node is the primary of.
    pub primaries: usize,
    /// Their bytes.
    pub primary_bytes: usize,
    /// Entries this node keeps a copy of.
    pub replicas: usize,
    /// Their bytes.
    pub replica_bytes: usize,
    /// Tombstones held.
    pub tombstones: usize,
    /// Their bytes.
    pub tombstone_bytes: usize,
}
