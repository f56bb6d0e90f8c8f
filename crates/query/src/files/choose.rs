//! Which of the files found make the table, and what they are: told by their names where the specification does not say.

use std::path::Path;

use api::job::{Compression, TableFormat, TableOptions};

use super::objects::{Entry, Kind};
use super::walk::is_hidden;
use crate::Error;

/// The files of a table, all of one format and one compression.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) entries: Vec<Entry>,
    pub(super) format: TableFormat,
    pub(super) compression: Compression,
}

/// Chooses. `place` is the table's for error messages.
pub(super) fn choose(
    kind: Kind,
    mut entries: Vec<Entry>,
    format: Option<TableFormat>,
    options: &TableOptions,
    place: &str,
) -> Result<Chosen, Error> {
    if kind != Kind::One {
        entries.retain(|entry| !entry.relative.split('/').any(is_hidden));
    }
    let format = match format {
        Some(format) => {
            if kind == Kind::Directory {
                entries.retain(|entry| format_of(&entry.relative) == Some(format));
            }
            format
        }
        None => told_by_names(kind, &mut entries, place)?,
    };
    if entries.is_empty() {
        return Err(Error::NotFound(format!("{place} has no {} files", name_of(format))));
    }
    let compression = match options.compression {
        Some(compression) => compression,
        None => one_compression(&entries, place)?,
    };
    if format == TableFormat::Parquet && compression != Compression::None {
        return Err(Error::Invalid(format!(
            "{place}: Parquet files are compressed inside and cannot be {} as well: unpack them",
            named(compression)
        )));
    }
    Ok(Chosen {
        entries,
        format,
        compression,
    })
}

fn told_by_names(kind: Kind, entries: &mut Vec<Entry>, place: &str) -> Result<TableFormat, Error> {
    if kind == Kind::Directory {
        entries.retain(|entry| format_of(&entry.relative).is_some());
    }
    let mut formats = Vec::new();
    for entry in entries.iter() {
        let format = format_of(&entry.relative).ok_or_else(|| {
            Error::Invalid(format!(
                "the format of {} cannot be told from its name: use .csv, .tsv, .parquet, .ndjson, .jsonl or .json (and .gz, .zst, \
                 .bz2 or .xz after it), or set `format`",
                entry.shown
            ))
        })?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    match formats.as_slice() {
        [] => Err(Error::NotFound(format!("{place} has no CSV, Parquet or NDJSON files"))),
        [format] => Ok(*format),
        _ => Err(Error::Invalid(format!("{place} has files of several formats: set `format`"))),
    }
}

fn one_compression(entries: &[Entry], place: &str) -> Result<Compression, Error> {
    let mut all = entries.iter().map(|entry| compression_of(&entry.relative));
    let first = all.next().unwrap_or(Compression::None);
    match all.find(|other| *other != first) {
        None => Ok(first),
        Some(other) => Err(Error::Invalid(format!(
            "{place} has files that are {} and files that are {}: make them two tables and UNION ALL them",
            named(first),
            named(other)
        ))),
    }
}

/// Which format a file name promises.
fn format_of(name: &str) -> Option<TableFormat> {
    let plain = match compression_of(name) {
        Compression::None => name,
        _ => name.rsplit_once('.').map_or(name, |(plain, _)| plain),
    };
    match extension(plain)?.as_str() {
        "csv" | "tsv" => Some(TableFormat::Csv),
        "parquet" | "pq" => Some(TableFormat::Parquet),
        "ndjson" | "jsonl" | "json" => Some(TableFormat::Ndjson),
        _ => None,
    }
}

/// Whether a file name promises values between tabs.
pub(super) fn is_tsv(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tsv", ".tsv.gz", ".tsv.gzip", ".tsv.zst", ".tsv.zstd", ".tsv.bz2", ".tsv.xz"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn compression_of(name: &str) -> Compression {
    match extension(name).as_deref() {
        Some("gz" | "gzip") => Compression::Gzip,
        Some("zst" | "zstd") => Compression::Zstd,
        Some("bz2") => Compression::Bzip2,
        Some("xz") => Compression::Xz,
        _ => Compression::None,
    }
}

fn extension(name: &str) -> Option<String> {
    Some(Path::new(name).extension()?.to_str()?.to_ascii_lowercase())
}

const fn name_of(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Csv => "CSV (.csv, .tsv)",
        TableFormat::Parquet => "Parquet (.parquet, .pq)",
        TableFormat::Ndjson => "NDJSON (.ndjson, .jsonl, .json)",
    }
}

const fn named(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "not compressed",
        Compression::Gzip => "compressed with gzip",
        Compression::Zstd => "compressed with zstd",
        Compression::Bzip2 => "compressed with bzip2",
        Compression::Xz => "compressed with xz",
    }
}
