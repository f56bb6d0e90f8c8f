//! Which blobs there are, in order: so that listings need not read the directory, and the sum of all is known.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::format::Trailer;
use super::name::BlobName;

/// Names and the bytes of their files.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: RwLock<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_name: BTreeMap<BlobName, u64>,
    bytes: u64,
}

impl Index {
    /// Takes note of a file; one of the same name is replaced.
    pub(super) fn insert(&self, name: BlobName, file_bytes: u64) {
        let mut files = self.files.write();
        let before = files.by_name.insert(name, file_bytes).unwrap_or_default();
        files.bytes = files.bytes - before + file_bytes;
    }

    /// Forgets a file.
    pub(super) fn remove(&self, name: &BlobName) {
        let mut files = self.files.write();
        files.bytes -= files.by_name.remove(name).unwrap_or_default();
    }

    /// Files, and the bytes of all.
    pub(super) fn totals(&self) -> (usize, u64) {
        let files = self.files.read();
        (files.by_name.len(), files.bytes)
    }

    /// Up to `limit` names after `after` that begin with `prefix`, with the bytes of their contents.
    pub(super) fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(BlobName, u64)> {
        let files = self.files.read();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let names = files.by_name.range::<str, _>((from, Bound::Unbounded));
        names
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .take(limit)
            .map(|(name, bytes)| (name.clone(), Trailer::content_len(*bytes)))
            .collect()
    }
}
