//! Arrow IPC parts in, the wanted format out.

use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::sink::{Sink, new_sink};
use crate::{Error, Format, IpcDecoder};

/// Converts the parts of a result, one after the other, into one document.
///
/// ```text
/// for each part { for each chunk of its bytes { send(converter.feed(chunk)?) }  converter.end_part()? }
/// send(converter.finish()?)
/// ```
/// Chunks may be cut anywhere; the returned bytes may be empty.
pub struct Converter {
    format: Format,
    part: usize,
    decoder: Option<IpcDecoder>,
    schema: Option<SchemaRef>,
    sink: Option<Box<dyn Sink>>,
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Converter")
            .field("format", &self.format)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

impl Converter {
    /// A converter that has seen nothing.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self {
            format,
            part: 0,
            decoder: None,
            schema: None,
            sink: None,
        }
    }

    /// Takes the next bytes of the current part (the first ones begin a part) and gives out what they make.
    ///
    /// # Errors
    /// When the part is damaged or of another schema, or its rows do not fit the format.
    pub fn feed(&mut self, chunk: impl Into<Bytes>) -> Result<Bytes, Error> {
        let mut out = Vec::new();
        let part = self.part;
        let mut decoder = self.decoder.take().unwrap_or_default();
        decoder.feed(chunk.into());
        loop {
            let batch = decoder.next_batch().map_err(|source| Error::Damaged { part, source })?;
            if let Some(schema) = decoder.schema() {
                self.agree(schema)?;
            }
            let (Some(batch), Some(sink)) = (batch, self.sink.as_mut()) else {
                break;
            };
            sink.write(&batch, &mut out)?;
        }
        self.decoder = Some(decoder);
        Ok(out.into())
    }

    /// Ends the current part.
    ///
    /// # Errors
    /// When bytes of it are missing.
    pub fn end_part(&mut self) -> Result<(), Error> {
        let complete = self.decoder.take().is_some_and(IpcDecoder::is_complete);
        if !complete {
            return Err(Error::Truncated { part: self.part });
        }
        self.part += 1;
        Ok(())
    }

    /// Ends the document and gives out the rest of it.
    ///
    /// # Errors
    /// When a part was not ended, or there was none.
    pub fn finish(mut self) -> Result<Bytes, Error> {
        if self.decoder.is_some() {
            return Err(Error::Truncated { part: self.part });
        }
        let mut out = Vec::new();
        self.sink.take().ok_or(Error::NoParts)?.finish(&mut out)?;
        Ok(out.into())
    }

    /// The first part decides the columns; every other part must have the same.
    fn agree(&mut self, schema: SchemaRef) -> Result<(), Error> {
        match &self.schema {
            Some(first) if first.fields() == schema.fields() => Ok(()),
            Some(_) => Err(Error::SchemaMismatch { part: self.part }),
            None => {
                self.sink = Some(new_sink(self.format, &schema)?);
                self.schema = Some(schema);
                Ok(())
            }
        }
    }
}
