//! Snapshots: the whole state at one log position, in a file of checksummed frames, made whole before it gets its name.

mod export;
mod file;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzed;
mod incoming;
mod store;
#[cfg(test)]
mod tests;

pub use export::{Inspected, RestoreRequest, Restored, SnapshotExport, inspect, restore};
pub(crate) use file::{SnapshotFile, SnapshotHead};
pub(crate) use store::SnapshotStore;
