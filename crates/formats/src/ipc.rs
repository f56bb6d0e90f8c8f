//! One Arrow IPC stream, fed as it arrives.
//!
//! Arrow's own decoder accepts a stream that stops between two messages; over a network that is a lost connection and would be
//! a result with missing rows. This one insists on the end-of-stream marker.

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;

/// Decoder of one Arrow IPC stream.
#[derive(Debug, Default)]
pub struct IpcDecoder {
    decoder: StreamDecoder,
    pending: Buffer,
}

impl IpcDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; [`Self::next_batch`] must have returned `None` since the last call.
    pub fn feed(&mut self, chunk: Bytes) {
        debug_assert!(self.pending.is_empty(), "bytes would be lost");
        self.pending = Buffer::from(chunk);
    }

    /// The next batch that is complete, `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no Arrow IPC stream, or go on after its end.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.decode(&mut self.pending)
    }

    /// The columns, once known.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    /// Whether the stream was complete, up to its end-of-stream marker.
    #[must_use]
    pub fn is_complete(mut self) -> bool {
        // The decoder keeps its state private, but it refuses bytes after the marker and nowhere else at a message boundary.
        self.decoder.finish().is_ok() && self.decoder.decode(&mut Buffer::from(&[0_u8])).is_err()
    }
}
