//! The columns of a text file, told by its first rows.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use api::job::Compression;
use bytes::Bytes;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader::{ValueIter, infer_json_schema_from_iterator};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::object_store::{self, ObjectMeta, ObjectStore, ObjectStoreExt};
use futures::StreamExt;
use futures::stream::BoxStream;
use memchr::memchr;
use serde_json::Value;
use tokio::runtime::Handle;

use super::guard::{Guard, MAX_COLUMNS, rows_that_fit, too_many_columns};
use super::opened::{self, STORE};
use super::records::Framing;
use crate::Error;

/// Rows looked at in the first file of a table.
pub(super) const INFERENCE_ROWS: usize = 10_000;
/// Rows looked at in each further file.
pub(super) const FURTHER_ROWS: usize = 1_000;
/// Text looked at in each file, but for the record that goes beyond it.
const INFERENCE_BYTES: usize = 16 << 20;
/// The beginning of a file, by which the size of its rows is judged.
const SAMPLE_BYTES: usize = 64 << 10;

/// How to read a text file.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Csv { header: bool, delimiter: u8 },
    Ndjson,
}

impl Text {
    pub(super) const fn framing(&self) -> Framing {
        match self {
            Self::Csv { delimiter, .. } => Framing::Csv(*delimiter),
            Self::Ndjson => Framing::Json,
        }
    }
}

/// What the beginning of a file tells.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) columns: Schema,
    /// Rows of its kind that a decoder may well hold at a time.
    pub(super) batch_rows: usize,
}

/// Looks at the first rows of one file.
pub(super) async fn infer(
    store: &dyn ObjectStore,
    meta: &ObjectMeta,
    text: &Text,
    compression: Compression,
    rows: usize,
    pool: &Arc<dyn MemoryPool>,
) -> Result<Told, Error> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let object = store.get(&meta.location).await.map_err(|error| internal(&error))?;
    let (text, framing) = (text.clone(), text.framing());
    let mut beginning = Beginning {
        text: opened::text(object, compression),
        runtime: Handle::current(),
        guard: Guard::of_columns(framing, pool),
        piece: Bytes::new(),
        rest: Bytes::new(),
        passed: 0,
        sample: Vec::new(),
        refused: None,
    };
    // Rows may have line breaks in quotes, which only the reader itself understands; and that one blocks.
    let inferred = tokio::task::spawn_blocking(move || {
        let columns = read(&mut beginning, &text, rows);
        (columns, beginning)
    });
    let (columns, beginning) = inferred.await.map_err(|error| internal(&error))?;
    if let Some(refused) = beginning.refused {
        return Err(refused);
    }
    Ok(Told {
        columns: columns?,
        batch_rows: beginning.batch_rows(framing),
    })
}

fn read(beginning: &mut Beginning, text: &Text, rows: usize) -> Result<Schema, Error> {
    let invalid = |error: ArrowError| Error::Invalid(error.to_string());
    let plain = BufReader::new(beginning);
    match text {
        Text::Csv { header, delimiter } => {
            let format = Format::default().with_header(*header).with_delimiter(*delimiter);
            Ok(format.infer_schema(plain, Some(rows)).map_err(invalid)?.0)
        }
        Text::Ndjson => {
            let mut names = Names::default();
            let values = ValueIter::new(plain, Some(rows)).map(|value| value.and_then(|value| names.see(value)));
            let told = infer_json_schema_from_iterator(values);
            if names.are_too_many() {
                return Err(too_many_columns());
            }
            told.map_err(invalid)
        }
    }
}

/// The names seen in values: each becomes a column, or a part of one.
#[derive(Default)]
struct Names {
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Names {
    fn see(&mut self, value: Value) -> Result<Value, ArrowError> {
        self.walk(&value, 0);
        match self.are_too_many() {
            true => Err(ArrowError::JsonError("too many columns".to_owned())),
            false => Ok(value),
        }
    }

    fn are_too_many(&self) -> bool {
        self.seen.len() > MAX_COLUMNS
    }

    fn walk(&mut self, value: &Value, within: u64) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, value)| {
                let name = self.hasher.hash_one((within, name));
                self.seen.insert(name);
                self.walk(value, name);
            }),
            Value::Array(values) => values.iter().for_each(|value| self.walk(value, within)),
            _ => {}
        }
    }
}

/// The beginning of a text, up to the end of a record.
struct Beginning {
    text: BoxStream<'static, object_store::Result<Bytes>>,
    runtime: Handle,
    guard: Guard,
    /// Not read yet, and not looked at yet.
    piece: Bytes,
    rest: Bytes,
    passed: usize,
    sample: Vec<u8>,
    refused: Option<Error>,
}

impl Beginning {
    fn fill(&mut self) -> Result<(), Error> {
        while self.piece.is_empty() && !(self.passed >= INFERENCE_BYTES && self.guard.is_between_records()) {
            if self.rest.is_empty() {
                let Some(next) = self.runtime.block_on(self.text.next()) else {
                    break;
                };
                self.rest = next.map_err(|error| of_store(&error))?;
            }
            // Beyond the end of what is wanted, line by line, to stop behind a record.
            let wanted = match INFERENCE_BYTES.saturating_sub(self.passed) {
                0 => memchr(b'\n', &self.rest).map_or(self.rest.len(), |at| at + 1),
                left => self.rest.len().min(left),
            };
            let piece = self.rest.split_to(wanted);
            self.guard.pass(&piece)?;
            let sampled = piece.len().min(SAMPLE_BYTES - self.sample.len());
            self.sample.extend_from_slice(&piece[..sampled]);
            self.passed += piece.len();
            self.piece = piece;
        }
        Ok(())
    }

    /// By the size of the rows seen, and what such text costs.
    fn batch_rows(&self, framing: Framing) -> usize {
        let row = self.passed / self.guard.rows().max(1);
        rows_that_fit(framing, &self.sample, row)
    }
}

impl Read for Beginning {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Err(refused) = self.fill() {
            let said = io::Error::other(refused.to_string());
            self.refused = Some(refused);
            return Err(said);
        }
        let read = self.piece.len().min(into.len());
        into[..read].copy_from_slice(&self.piece.split_to(read));
        Ok(read)
    }
}

fn of_store(error: &object_store::Error) -> Error {
    match error {
        object_store::Error::Generic { store: STORE, source } => match source.downcast_ref::<Error>() {
            Some(refused) => refused.clone(),
            None => Error::Internal(source.to_string()),
        },
        _ => Error::Internal(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::UnboundedMemoryPool;
    use datafusion::object_store::memory::InMemory;

    use super::*;

    async fn told(content: impl Into<Vec<u8>>, text: Text) -> Result<Told, Error> {
        told_by(content, text, INFERENCE_ROWS).await
    }

    async fn told_by(content: impl Into<Vec<u8>>, text: Text, rows: usize) -> Result<Told, Error> {
        let (store, path) = (InMemory::new(), object_store::path::Path::from("x"));
        store.put(&path, content.into().into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        infer(&store, &meta, &text, Compression::None, rows, &pool).await
    }

    const CSV: Text = Text::Csv {
        header: true,
        delimiter: b',',
    };

    #[tokio::test]
    async fn more_columns_than_anybody_wants_are_refused() {
        let names = |n: usize| (0..n).map(|n| format!("c{n}")).collect::<Vec<_>>();
        told(names(MAX_COLUMNS).join(","), CSV).await.unwrap();
        let refused = told(names(MAX_COLUMNS + 1).join(","), CSV).await.unwrap_err();
        assert!(
            matches!(&refused, Error::TooLarge(text) if text.contains("columns")),
            "{refused:?}"
        );
        let lines = names(MAX_COLUMNS + 1)
            .iter()
            .map(|name| format!("{{\"{name}\":1}}\n"))
            .collect::<String>();
        let refused = told_by(lines, Text::Ndjson, MAX_COLUMNS + 1).await.unwrap_err();
        assert!(
            matches!(&refused, Error::TooLarge(text) if text.contains("columns")),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn wide_rows_are_read_a_few_at_a_time() {
        let narrow = told(b"a,b\n1,2\n".repeat(1000), CSV).await.unwrap();
        assert!(narrow.batch_rows > 8192);
        let wide = [&b"a,b\n"[..], &[&vec![b'x'; 1 << 20][..], b",1\n"].concat().repeat(4)].concat();
        let wide = told(wide, CSV).await.unwrap();
        assert!((2..16).contains(&wide.batch_rows), "{}", wide.batch_rows);
    }

    #[tokio::test]
    async fn a_long_file_is_judged_by_whole_records_of_its_beginning() {
        let lines = [&b"{\"a\":\""[..], &vec![b'x'; 3 << 20], b"\"}\n"].concat().repeat(9);
        let told = told([&lines[..], b"no json"].concat(), Text::Ndjson).await.unwrap();
        assert_eq!(told.columns.fields().len(), 1);
    }
}
