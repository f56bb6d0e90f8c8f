//! Arrow: the batches of all parts in one IPC stream.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::Sink;
use crate::Error;

/// One Arrow IPC stream.
pub(crate) struct Stream(StreamWriter<Vec<u8>>);

impl Stream {
    pub(crate) fn try_new(schema: &SchemaRef) -> Result<Self, Error> {
        StreamWriter::try_new(Vec::new(), schema).map(Self).map_err(unsupported)
    }
}

impl Sink for Stream {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.write(batch).map_err(unsupported)?;
        out.append(self.0.get_mut());
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.finish().map_err(unsupported)?;
        out.append(self.0.get_mut());
        Ok(())
    }
}

const fn unsupported(source: ArrowError) -> Error {
    Error::Unsupported { format: "arrow", source }
}
