//! The columns of a text file, told by its first rows.

use std::io::{BufReader, Read};

use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::json::reader::infer_json_schema;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use datafusion::object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::TryStreamExt;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::Error;

/// Rows looked at in the first file of a table.
pub(super) const INFERENCE_ROWS: usize = 10_000;
/// Rows looked at in each further file.
pub(super) const FURTHER_ROWS: usize = 1_000;

/// How to read a text file.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Csv { header: bool, delimiter: u8 },
    Ndjson,
}

/// The columns of one file.
pub(super) async fn infer(
    store: &dyn ObjectStore,
    meta: &ObjectMeta,
    text: &Text,
    compression: FileCompressionType,
    rows: usize,
) -> Result<Schema, Error> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let object = store.get(&meta.location).await.map_err(|error| internal(&error))?;
    let text = text.clone();
    // Rows may have line breaks in quotes, which only the reader itself understands; and that one blocks.
    let inferred = match object.payload {
        GetResultPayload::File(file, _) => tokio::task::spawn_blocking(move || read(file, &text, &compression, rows)).await,
        GetResultPayload::Stream(stream) => {
            let bytes = SyncIoBridge::new(StreamReader::new(stream.map_err(std::io::Error::other)));
            tokio::task::spawn_blocking(move || read(bytes, &text, &compression, rows)).await
        }
    };
    inferred
        .map_err(|error| internal(&error))?
        .map_err(|error| Error::Invalid(error.strip_backtrace()))
}

fn read(
    bytes: impl Read + Send + 'static,
    text: &Text,
    compression: &FileCompressionType,
    rows: usize,
) -> Result<Schema, DataFusionError> {
    let plain = BufReader::new(compression.convert_read(bytes)?);
    Ok(match text {
        Text::Csv { header, delimiter } => {
            let format = Format::default().with_header(*header).with_delimiter(*delimiter);
            format.infer_schema(plain, Some(rows))?.0
        }
        Text::Ndjson => infer_json_schema(plain, Some(rows))?.0,
    })
}
