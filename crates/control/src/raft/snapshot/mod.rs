//! Snapshots: the whole state at one log position, in a file of checksummed frames, made whole before it gets its name.

mod file;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use file::SnapshotFile;
pub(crate) use store::SnapshotStore;
