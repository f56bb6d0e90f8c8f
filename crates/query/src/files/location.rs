//! From a table's URI to the files that hold its rows, and their format.

use std::fs;
use std::path::{Path, PathBuf};

use api::job::{TableFormat, TableSpec};
use datafusion::datasource::listing::ListingTableUrl;

use super::DataDirs;
use crate::Error;

/// Files of one table, resolved, sorted by name.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) format: TableFormat,
}

impl Location {
    /// Finds the files of a table.
    pub(crate) fn find(name: &str, spec: &TableSpec, dirs: &DataDirs) -> Result<Self, Error> {
        let path = path_of(spec.uri.as_deref().unwrap_or_default()).map_err(|error| in_table(name, error))?;
        let real = dirs.resolve(&path).map_err(|error| in_table(name, error))?;
        let found = if real.is_dir() {
            in_directory(&path, &real, spec.format, dirs)
        } else {
            one_file(&path, real, spec.format)
        };
        found.map_err(|error| in_table(name, error))
    }
}

/// The path a `file://` URI names.
fn path_of(uri: &str) -> Result<PathBuf, Error> {
    let refuse = |why: &str| Error::Invalid(format!("uri {uri:?} {why}: write file:///absolute/path"));
    if !uri.starts_with("file:///") {
        return Err(refuse("is not a file:// URI"));
    }
    let url = ListingTableUrl::parse(uri).map_err(|_| refuse("is not a valid URI"))?;
    let url = url.get_url();
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("has a query or a fragment (percent-encode ? and #)"));
    }
    url.to_file_path().map_err(|()| refuse("names no local path"))
}

fn one_file(path: &Path, real: PathBuf, format: Option<TableFormat>) -> Result<Location, Error> {
    if !real.is_file() {
        return Err(Error::Invalid(format!("{} is not a regular file", path.display())));
    }
    let format = format.or_else(|| format_of(path)).ok_or_else(|| {
        Error::Invalid(format!(
            "the format of {} cannot be told from its name: use .csv, .tsv, .parquet, .ndjson, .jsonl or .json, or set `format`",
            path.display()
        ))
    })?;
    Ok(Location {
        files: vec![real],
        format,
    })
}

/// All files of the format that lie in the directory itself; names that begin with `.` or `_` are skipped, as elsewhere.
fn in_directory(path: &Path, real: &Path, format: Option<TableFormat>, dirs: &DataDirs) -> Result<Location, Error> {
    let unreadable = |error: std::io::Error| Error::Forbidden(format!("{} cannot be read: {error}", path.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(real).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.path();
        let hidden = entry
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with(['.', '_']));
        if let (false, Some(found)) = (hidden, format_of(&entry)) {
            entries.push((entry, found));
        }
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    let Some(wanted) = format.or_else(|| entries.first().map(|(_, found)| *found)) else {
        return Err(Error::NotFound(format!(
            "{} has no CSV, Parquet or NDJSON files",
            path.display()
        )));
    };
    if format.is_none() && entries.iter().any(|(_, found)| *found != wanted) {
        return Err(Error::Invalid(format!(
            "{} has files of several formats: set `format`",
            path.display()
        )));
    }
    let wanted_entries = entries.iter().filter(|(_, found)| *found == wanted);
    let mut files = wanted_entries
        .map(|(entry, _)| dirs.resolve(entry))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.is_file());
    if files.is_empty() {
        return Err(Error::NotFound(format!(
            "{} has no {} files",
            path.display(),
            name_of(wanted)
        )));
    }
    Ok(Location { files, format: wanted })
}

/// Which format a file name promises.
fn format_of(path: &Path) -> Option<TableFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => Some(TableFormat::Csv),
        "parquet" | "pq" => Some(TableFormat::Parquet),
        "ndjson" | "jsonl" | "json" => Some(TableFormat::Ndjson),
        _ => None,
    }
}

const fn name_of(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Csv => "CSV (.csv, .tsv)",
        TableFormat::Parquet => "Parquet (.parquet, .pq)",
        TableFormat::Ndjson => "NDJSON (.ndjson, .jsonl, .json)",
    }
}

fn in_table(name: &str, error: Error) -> Error {
    match error {
        Error::Invalid(text) => Error::Invalid(format!("table {name:?}: {text}")),
        Error::NotFound(text) => Error::NotFound(format!("table {name:?}: {text}")),
        Error::Forbidden(text) => Error::Forbidden(format!("table {name:?}: {text}")),
        other => other,
    }
}
