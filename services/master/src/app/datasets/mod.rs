//! Datasets: named sets of files that are queried as tables. A manifest in the control store says which blobs they are.
//!
//! ```text
//!   upload: lease + intent ─► blob (streamed, looked at as it passes) ─► one txn: intent still there, manifest unchanged ─► manifest
//! ```
//!
//! What stays true:
//! - a file is part of a dataset from one revision on, whole, or never was;
//! - blobs never change, so who read a manifest can read all of its files, for as long as they are spared by the collector;
//! - any master does all of this; two that change one dataset at once do it one after the other.

mod change;
mod error;
mod inspected;
mod intent;
mod jobs;
mod manifest;
mod names;
mod outputs;
mod read;
mod remove;
mod upload;

use std::sync::Arc;

use blobs::BlobStore;
use control::ControlStore;

pub use error::Error;
pub use manifest::{File, Manifest};
#[cfg(feature = "fuzzing")]
pub(crate) use names::check_path;
pub use names::{INTENTS, MANIFESTS, Name};
pub use outputs::{CommitOps, Planned, WrittenFile};
pub use upload::Upload;

/// Most files of one dataset.
pub const MAX_FILES: usize = 4096;
/// Largest manifest: what the control store takes in one value, with room to spare.
pub const MAX_MANIFEST_BYTES: usize = 1_000_000;

/// Datasets as masters offer them; clones are one.
#[derive(Debug, Clone)]
pub struct Datasets {
    store: Arc<dyn ControlStore>,
    blobs: Arc<dyn BlobStore>,
}

impl Datasets {
    /// Manifests in this store, files in that one.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, blobs: Arc<dyn BlobStore>) -> Self {
        Self { store, blobs }
    }
}
