//! CSV (RFC 4180). CSV has no nesting, so lists, structs and maps are written as JSON inside their field.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};

use super::Sink;
use crate::Error;

/// A CSV document with a header line.
pub(crate) struct Csv {
    schema: SchemaRef,
    header_due: bool,
}

impl Csv {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: flat(schema),
            header_due: true,
        }
    }

    fn append(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        let header = std::mem::take(&mut self.header_due);
        WriterBuilder::new()
            .with_header(header)
            .build(out)
            .write(batch)
            .map_err(unsupported)
    }
}

impl Sink for Csv {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        let fields = batch.schema_ref().fields().iter();
        let columns = fields
            .zip(batch.columns())
            .map(|(field, column)| flatten(field, column))
            .collect::<Result<_, _>>();
        let batch = columns
            .and_then(|columns| RecordBatch::try_new(Arc::clone(&self.schema), columns))
            .map_err(unsupported)?;
        self.append(&batch, out)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.header_due {
            let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
            self.append(&empty, out)?;
        }
        Ok(())
    }
}

const fn unsupported(source: ArrowError) -> Error {
    Error::Unsupported { format: "csv", source }
}

/// The schema with text in place of what is nested.
fn flat(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        nested if nested.is_nested() => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn flatten(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !column.data_type().is_nested() {
        return Ok(Arc::clone(column));
    }
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, column.as_ref(), &options)?;
    let (mut text, mut json) = (StringBuilder::new(), Vec::new());
    for row in 0..column.len() {
        if encoder.is_null(row) {
            text.append_null();
            continue;
        }
        json.clear();
        encoder.encode(row, &mut json);
        text.append_value(std::str::from_utf8(&json).map_err(|e| ArrowError::CsvError(e.to_string()))?);
    }
    Ok(Arc::new(text.finish()))
}
