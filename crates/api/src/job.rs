//! Jobs as clients see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{JobId, Problem};

/// Body of `POST /jobs`. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What kind of job it is.
    #[serde(default)]
    pub kind: JobKind,
    /// The SQL, one statement.
    pub query: String,
    /// Tables the query may name.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSpec>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels for people and filters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Higher runs first; 0 unless set.
    #[serde(default)]
    pub priority: i32,
    /// Longest run in seconds, from acceptance; 1 hour unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Attempts of each task, 1 to 10; 4 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Seconds to keep the job and its result after its end; the cluster's `RESULT_TTL` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_ttl: Option<u64>,
    /// Where the rows go; without it they are the job's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
}

impl JobSpec {
    /// Bytes of the texts in it.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        let of_table = |(name, table): (&String, &TableSpec)| {
            let source = [&table.uri, &table.dataset].into_iter().flatten().map(String::len);
            let columns = table
                .options
                .schema
                .iter()
                .map(|column| column.name.len() + column.data_type.len());
            name.len() + source.chain(columns).sum::<usize>()
        };
        let labels = self.labels.iter().map(|(name, value)| name.len() + value.len());
        self.query.len() + self.tables.iter().map(of_table).chain(labels).sum::<usize>()
    }
}

/// A dataset that a job writes, as Parquet. It appears, whole, with the end of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Its name.
    pub dataset: String,
    /// What happens to one of that name.
    #[serde(default)]
    pub mode: OutputMode,
}

/// What a job does to a dataset that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputMode {
    /// Refuses: the job fails.
    #[default]
    Create,
    /// Takes its place.
    Replace,
    /// Adds files to it.
    Append,
}

/// Kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// A SQL query over tables.
    #[default]
    Sql,
}

/// Where a table's rows are: `uri` or `dataset`, one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// `file:///path` (a file, a directory, or a glob) under the workers' `DATA_DIRS`; `http://`, `https://` and `s3://` where the
    /// operator allows the host or bucket; `kv:prefix` for the keys under a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// A dataset of the data store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Format of the files; guessed from the extension when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TableFormat>,
    /// How to read them.
    #[serde(default)]
    pub options: TableOptions,
}

/// Formats of input files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// Comma-separated values.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Ndjson,
}

/// Reading options; each applies to the formats that know it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TableOptions {
    /// CSV: whether the first line names the columns; true unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// CSV: one byte between fields; `,` unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// CSV and NDJSON: how the files are compressed; told from the extension (`.gz`, `.zst`, …) unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Columns and their SQL types (`"price": "decimal(12,2)"`), in place of what is inferred from the files. CSV: all columns in
    /// order. Otherwise: the columns that are to be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<ColumnSpec>,
}

/// A column as the user declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its name.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// Compressions of text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None, whatever the extension says.
    None,
    /// gzip (`.gz`).
    Gzip,
    /// Zstandard (`.zst`).
    Zstd,
    /// bzip2 (`.bz2`).
    Bzip2,
    /// xz (`.xz`).
    Xz,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Accepted, durable, waiting for a worker.
    Queued,
    /// A worker is planning it.
    Planning,
    /// Tasks are running.
    Running,
    /// The result is committed.
    Succeeded,
    /// It ended with `error`.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Ratio {
    /// Finished.
    pub done: u32,
    /// In all, as far as known.
    pub total: u32,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Stages.
    pub stages: Ratio,
    /// Tasks over all stages.
    pub tasks: Ratio,
    /// Tasks that workers have in hand.
    #[serde(default)]
    pub running: u32,
    /// Rows written so far, shuffle included.
    pub rows: u64,
    /// Bytes written so far, shuffle included.
    pub bytes: u64,
    /// Bytes that went to disk and back because memory was short.
    #[serde(default)]
    pub spilled_bytes: u64,
    /// Attempts beyond the first of each task.
    pub retries: u32,
}

/// What a job cost, over all attempts that reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Cost {
    /// Processor time of its tasks, milliseconds.
    pub cpu_ms: u64,
    /// Bytes read from tables.
    pub bytes_read: u64,
    /// Bytes handed from one stage to the next.
    pub bytes_shuffled: u64,
    /// Bytes that went to disk and back because memory was short.
    pub bytes_spilled: u64,
    /// Most memory that one task reserved at once, bytes.
    pub peak_memory: u64,
}

impl Cost {
    /// Takes in what another attempt cost.
    pub fn add(&mut self, other: &Self) {
        self.cpu_ms += other.cpu_ms;
        self.bytes_read += other.bytes_read;
        self.bytes_shuffled += other.bytes_shuffled;
        self.bytes_spilled += other.bytes_spilled;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

/// What a succeeded job left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultInfo {
    /// Rows.
    pub rows: u64,
    /// Bytes as stored (Arrow IPC).
    pub bytes: u64,
    /// Columns in order.
    pub columns: Vec<Column>,
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Arrow data type as text.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether nulls may occur.
    pub nullable: bool,
}

/// A job as `GET /jobs/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Name given by the submitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels given by the submitter.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Namespace it was submitted in; empty is the default one.
    #[serde(default)]
    pub namespace: String,
    /// The SQL.
    pub query: String,
    /// Higher runs first.
    #[serde(default)]
    pub priority: i32,
    /// Acceptance, Unix milliseconds.
    pub submitted_at_ms: u64,
    /// First task, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
    /// End, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
    /// How far it is.
    pub progress: Progress,
    /// What it cost so far.
    #[serde(default)]
    pub cost: Cost,
    /// The dataset it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSpec>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// What it left, once succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultInfo>,
    /// The rows, only in the answer to `Prefer: wait` and only when they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub rows: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// Answer of `GET /jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// Newest first.
    pub items: Vec<Job>,
    /// Give it as `after` for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
}
