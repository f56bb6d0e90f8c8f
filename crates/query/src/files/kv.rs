//! `kv:prefix`: the keys under a prefix, as a table of `key`, `value`, `text` and `revision`.
//!
//! The worker that plans reads them at one revision and puts the rows into the plan, so that all tasks, and all attempts of each,
//! see the same.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;

use crate::Error;

/// Most bytes of keys and values in one plan: the control store keeps plans, and takes 1 MiB of each stage.
const MAX_BYTES: usize = 512 << 10;

/// A key of the control store's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvRow {
    /// Its name, as in `/kv/{key}`.
    pub key: String,
    /// What it holds.
    pub value: Bytes,
    /// Revision that wrote it last.
    pub revision: u64,
}

/// Keys as they stood at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KvSnapshot {
    /// In order.
    pub rows: Vec<KvRow>,
    /// Whether there are more of them than were asked for.
    pub more: bool,
}

/// Gets at the keys of `/kv`.
#[async_trait]
pub trait KvSource: Send + Sync + Debug {
    /// The keys of a namespace under a prefix at one revision, and whether `max_bytes` of keys and values cut them short.
    ///
    /// # Errors
    /// What went wrong, for people.
    async fn read(&self, namespace: &str, prefix: &str, max_bytes: usize) -> Result<KvSnapshot, String>;
}

/// The table of a prefix.
pub(super) async fn table(source: Option<&Arc<dyn KvSource>>, namespace: &str, prefix: &str) -> Result<MemTable, Error> {
    let source = source.ok_or_else(|| Error::Invalid("kv: tables are not to be had here".to_owned()))?;
    let read = source.read(namespace, prefix, MAX_BYTES).await;
    let found = read.map_err(|error| Error::Internal(format!("the keys under {prefix:?} cannot be read: {error}")))?;
    if found.more {
        return Err(Error::TooLarge(format!(
            "the keys under {prefix:?} and their values take more than {} KiB, which is all that a query can carry: use a longer \
             prefix, or export them (GET /kv?prefix=) to a dataset",
            MAX_BYTES >> 10
        )));
    }
    let batch = batch(&found.rows).map_err(|error| Error::Internal(error.to_string()))?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]);
    table.map_err(|error| Error::Internal(error.strip_backtrace()))
}

fn batch(rows: &[KvRow]) -> Result<RecordBatch, datafusion::arrow::error::ArrowError> {
    let schema = Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Binary, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("revision", DataType::Int64, false),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.key.as_str())).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.value.as_ref())).collect::<BinaryArray>()),
        // Null where the value is no text.
        Arc::new(
            rows.iter()
                .map(|row| std::str::from_utf8(&row.value).ok())
                .collect::<StringArray>(),
        ),
        Arc::new(
            rows.iter()
                .map(|row| i64::try_from(row.revision).ok())
                .collect::<Int64Array>(),
        ),
    ];
    RecordBatch::try_new(Arc::new(schema), columns)
}
