//! How wide a query is cut, and what is broadcast.

use crate::session::MIN_SPLIT_BYTES;

/// More tasks in one stage than this serve nobody.
const MAX_PARTITIONS: u32 = 1024;

/// What all tasks of a stage may read of one broadcast together: about as much as hashing the large side would move instead.
const BROADCAST_BYTES: usize = 32 * 1024 * 1024;
/// So much is broadcast to any number of tasks.
const LEAST_BROADCAST_BYTES: usize = 1024 * 1024;
/// What a row counts for where its size is not known.
const ROW_BYTES: usize = 16;

/// What decides the shape of a graph of stages, beside the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Partitions to aim at in each stage.
    pub(crate) partitions: usize,
    /// Below so many bytes, every task reads the whole of one side of a join.
    pub(crate) broadcast_bytes: usize,
    /// The same, where only the number of rows is known.
    pub(crate) broadcast_rows: usize,
    /// A query that reads so few bytes is one task: a second stage costs more than it saves.
    pub(crate) whole_below_bytes: u64,
}

impl Shape {
    /// What serves most queries with so many partitions.
    pub(crate) fn of(partitions: u32) -> Self {
        let partitions = partitions.clamp(1, MAX_PARTITIONS) as usize;
        let broadcast_bytes = (BROADCAST_BYTES / partitions).max(LEAST_BROADCAST_BYTES);
        Self {
            partitions,
            broadcast_bytes,
            broadcast_rows: broadcast_bytes / ROW_BYTES,
            whole_below_bytes: MIN_SPLIT_BYTES as u64,
        }
    }
}
