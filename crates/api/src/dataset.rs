//! Datasets as clients see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::Column;

/// A dataset: files that are queried as one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its namespace; empty is the default one.
    #[serde(default)]
    pub namespace: String,
    /// Changes whenever the dataset does.
    pub version: String,
    /// Format of its files: `csv`, `tsv`, `ndjson` or `parquet`.
    pub format: String,
    /// Its columns, as the files say or as they were told from their beginnings.
    pub schema: Vec<Column>,
    /// How many rows it has; null when that is not known without reading it.
    pub rows: Option<u64>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Its files, by path.
    pub files: Vec<DatasetFile>,
    /// When it began, Unix milliseconds.
    pub created_at_ms: u64,
    /// Its last change, Unix milliseconds.
    pub modified_at_ms: u64,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetFile {
    /// Its path; may have `key=value` directories, which are columns too.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// How many rows it has; null when that is not known without reading it.
    pub rows: Option<u64>,
}

/// A dataset in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetSummary {
    /// Its name.
    pub name: String,
    /// Format of its files.
    pub format: String,
    /// How many files it has.
    pub files: u64,
    /// How many rows it has; null when that is not known without reading it.
    pub rows: Option<u64>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Its last change, Unix milliseconds.
    pub modified_at_ms: u64,
}

/// A page of datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetList {
    /// By name.
    pub items: Vec<DatasetSummary>,
    /// Give it as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What an upload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// The dataset.
    pub dataset: String,
    /// Its version now.
    pub version: String,
    /// The file.
    pub file: DatasetFile,
    /// The columns of the dataset now.
    pub schema: Vec<Column>,
}
