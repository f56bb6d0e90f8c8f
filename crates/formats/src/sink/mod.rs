//! Writers of one document, each into a buffer that is emptied after every batch.

mod csv;
mod ipc;
mod json;
mod parquet;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;

use crate::{Error, Format};

/// Writer of one document.
pub(crate) trait Sink: Send {
    /// Appends to `out` what the batch makes.
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Appends to `out` what ends the document.
    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error>;
}

/// The writer of a format.
pub(crate) fn new_sink(format: Format, schema: &SchemaRef) -> Result<Box<dyn Sink>, Error> {
    Ok(match format {
        Format::Json => Box::new(json::Array::new()),
        Format::Ndjson => Box::new(json::Lines::new()),
        Format::Csv => Box::new(csv::Csv::new(schema)),
        Format::Arrow => Box::new(ipc::Stream::try_new(schema)?),
        Format::Parquet => Box::new(parquet::File::try_new(schema)?),
    })
}
