//! Parquet: one file, whose row groups bound what is held in memory.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Sink;
use crate::Error;

/// Encoded bytes at which a row group is closed and given out.
const ROW_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// One Parquet file.
pub(crate) struct File(ArrowWriter<Vec<u8>>);

impl File {
    pub(crate) fn try_new(schema: &SchemaRef) -> Result<Self, Error> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))
            .map(Self)
            .map_err(Error::Parquet)
    }
}

impl Sink for File {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.write(batch).map_err(Error::Parquet)?;
        if self.0.in_progress_size() >= ROW_GROUP_BYTES {
            self.0.flush().map_err(Error::Parquet)?;
        }
        // Offsets in the footer come from the writer's own count, so the buffer may be emptied at any time.
        out.append(self.0.inner_mut());
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.finish().map_err(Error::Parquet)?;
        out.append(self.0.inner_mut());
        Ok(())
    }
}
