//! Datasets as clients see them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::Column;

/// Most of a namespace that a blob's name shows.
const SHOWN_NAMESPACE: usize = 40;

/// A text of a user as a part of a name: what names do not have becomes `_`, and of a long one the end is kept. Two texts may
/// become the same, so something else in the name must tell them apart.
#[must_use]
pub fn plain(text: &str, max_bytes: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '=' | '-' | '/') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let kept = &plain[plain.len().saturating_sub(max_bytes)..];
    let segments = kept.split('/').filter(|segment| !matches!(*segment, "" | "." | ".."));
    segments.collect::<Vec<_>>().join("/")
}

/// What the names of all blobs of a dataset begin with; a version, or a job's id, and a slash follow. Other datasets may have the same
/// prefix, where namespaces have characters that blobs do not.
#[must_use]
pub fn blob_prefix(namespace: &str, name: &str) -> String {
    let shown = plain(namespace, SHOWN_NAMESPACE);
    let shown = if shown.is_empty() { "_" } else { &shown };
    format!("datasets/{shown}/{name}/")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_part_of_a_name() {
        for (text, expected) in [
            ("year=2026/a.csv", "year=2026/a.csv"),
            ("my file é.csv", "my_file__.csv"),
            ("a/../b//c", "a/b/c"),
            ("", ""),
        ] {
            assert_eq!(plain(text, 50), expected);
        }
        assert_eq!(plain("0123456789.csv", 8), "6789.csv"[..].to_owned());
    }

    #[test]
    fn blobs_of_a_dataset_show_the_end_of_a_long_namespace() {
        assert_eq!(blob_prefix("", "d"), "datasets/_/d/");
        assert_eq!(blob_prefix("my team", "d"), "datasets/my_team/d/");
        assert_eq!(blob_prefix(&"n".repeat(128), "d"), format!("datasets/{}/d/", "n".repeat(40)));
    }
}
