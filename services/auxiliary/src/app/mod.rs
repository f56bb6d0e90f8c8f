//! What an auxiliary does, without requests and status codes.

pub(crate) mod batch;
pub(crate) mod clock;
pub(crate) mod gate;

use std::sync::Arc;

use prometheus::{IntCounterVec, Registry};
use store::blob::BlobStore;
use telemetry::Metrics;

use batch::Batches;

/// Everything handlers work on.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) batches: Batches,
    pub(crate) blobs: BlobStore,
    /// Largest frame that is read.
    pub(crate) max_frame_bytes: usize,
    pub(crate) blob_operations: IntCounterVec,
}

impl App {
    pub(crate) fn new(batches: Batches, blobs: BlobStore, max_frame_bytes: usize, registry: &Registry) -> Arc<Self> {
        let help = "Operations on blobs, by how they began to be answered.";
        let blob_operations = Metrics::new(registry).counters("blob_operations_total", help, &["operation", "result"]);
        Arc::new(Self {
            batches,
            blobs,
            max_frame_bytes,
            blob_operations,
        })
    }
}
