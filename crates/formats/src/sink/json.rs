//! JSON: every column of every row is there, nulls included, and NaN and infinities (which JSON lacks) are null.

use arrow::array::RecordBatch;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, Writer, WriterBuilder};

use super::Sink;
use crate::Error;

/// One array of objects.
pub(crate) type Array = Json<JsonArray>;
/// One object a line.
pub(crate) type Lines = Json<LineDelimited>;

/// A JSON document in the framing of `F`.
pub(crate) struct Json<F: JsonFormat>(Writer<Vec<u8>, F>);

impl<F: JsonFormat> Json<F> {
    pub(crate) fn new() -> Self {
        Self(WriterBuilder::new().with_explicit_nulls(true).build(Vec::new()))
    }
}

impl<F: JsonFormat + Send> Sink for Json<F> {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0
            .write(batch)
            .map_err(|source| Error::Unsupported { format: "json", source })?;
        out.append(self.0.get_mut());
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0
            .finish()
            .map_err(|source| Error::Unsupported { format: "json", source })?;
        out.append(self.0.get_mut());
        Ok(())
    }
}
