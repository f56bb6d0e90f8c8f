//! The columns of a text, from its beginning.

use std::collections::BTreeSet;
use std::io::{Cursor, ErrorKind, Read};

use arrow::csv::reader::Format;
use arrow::datatypes::Schema;
use arrow::json::reader::infer_json_schema;

use super::{Compression, FileFormat, FileKind, NotThat, SAMPLE};

/// Most columns of a text file: as many as workers read.
const MAX_COLUMNS: usize = 16_384;

/// Tells the columns from the first bytes of a file; `whole` when these are all.
pub(super) fn columns(kind: FileKind, first: Vec<u8>, whole: bool) -> Result<Schema, NotThat> {
    let (text, whole) = match kind.compression {
        Compression::None => (first, whole),
        Compression::Gzip => unpack(flate2::read::MultiGzDecoder::new(&first[..]), whole, "gzip")?,
        Compression::Zstd => {
            let reader = zstd::stream::read::Decoder::new(&first[..]);
            let reader = reader.map_err(|error| NotThat(format!("it is not compressed with zstd: {error}")))?;
            unpack(reader, whole, "zstd")?
        }
    };
    let text = lines(text, whole)?;
    let schema = match kind.format {
        FileFormat::Ndjson => of_json(&text)?,
        FileFormat::Csv => of_separated(&text, b',')?,
        FileFormat::Tsv => of_separated(&text, b'\t')?,
        FileFormat::Parquet => return Err(NotThat("it is no text".to_owned())),
    };
    let columns = schema.fields().len();
    if columns > MAX_COLUMNS {
        return Err(NotThat(format!(
            "it has {columns} columns, and at most {MAX_COLUMNS} can be queried"
        )));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = schema.fields().iter().find(|field| !names.insert(field.name())) {
        return Err(NotThat(format!("it has the column {:?} twice", twice.name())));
    }
    Ok(schema)
}

/// The beginning of a compressed text, and whether it is all of it.
fn unpack(reader: impl Read, whole: bool, named: &str) -> Result<(Vec<u8>, bool), NotThat> {
    let mut text = Vec::new();
    let mut reader = reader.take(SAMPLE as u64);
    match reader.read_to_end(&mut text) {
        Ok(read) => Ok((text, whole && read < SAMPLE)),
        // Only the beginning is there.
        Err(error) if !whole && error.kind() == ErrorKind::UnexpectedEof && !text.is_empty() => Ok((text, false)),
        Err(error) => Err(NotThat(format!("it is not compressed with {named}, or not whole: {error}"))),
    }
}

/// Whole lines only, when there is more than these bytes.
fn lines(mut text: Vec<u8>, whole: bool) -> Result<Vec<u8>, NotThat> {
    if !whole {
        let end = text.iter().rposition(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| NotThat(format!("its first line is longer than {SAMPLE} bytes")))?;
        text.truncate(end + 1);
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        text.drain(..3);
    }
    match std::str::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(NotThat(format!("it is not UTF-8 text: see byte {}", error.valid_up_to()))),
    }
}

fn of_json(text: &[u8]) -> Result<Schema, NotThat> {
    let refused = |error: String| NotThat(format!("its lines are not JSON objects: {error}"));
    let (schema, records) = infer_json_schema(Cursor::new(text), None).map_err(|error| refused(error.to_string()))?;
    if records == 0 {
        return Err(NotThat("it is empty".to_owned()));
    }
    Ok(schema)
}

fn of_separated(text: &[u8], delimiter: u8) -> Result<Schema, NotThat> {
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let told = format.infer_schema(Cursor::new(text), None);
    let (schema, _) = told.map_err(|error| NotThat(error.to_string()))?;
    if schema.fields().is_empty() {
        return Err(NotThat("it has no columns".to_owned()));
    }
    Ok(schema)
}
