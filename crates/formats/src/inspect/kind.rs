//! What a file claims to be, by its name or by what its sender says.

use std::fmt;
use std::str::FromStr;

/// Formats of files that can be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values, the first line names the columns.
    Csv,
    /// The same with tabs.
    Tsv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// Compressions of text files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Format and compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// The format.
    pub format: FileFormat,
    /// The compression; Parquet has its own inside.
    pub compression: Compression,
}

impl FileKind {
    /// By the extension of a file's name.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let (stem, compression) = compression_of(&name);
        let format = stem.rsplit_once('.')?.1.parse().ok()?;
        (format != FileFormat::Parquet || compression == Compression::None).then_some(Self { format, compression })
    }

    /// Of this format, and compressed as the extension of a file's name says.
    #[must_use]
    pub fn with_format(format: FileFormat, path: &str) -> Self {
        let name = path.to_ascii_lowercase();
        let compression = match format {
            FileFormat::Parquet => Compression::None,
            _ => compression_of(&name).1,
        };
        Self { format, compression }
    }
}

fn compression_of(name: &str) -> (&str, Compression) {
    for (extension, compression) in [(".gz", Compression::Gzip), (".zst", Compression::Zstd)] {
        if let Some(stem) = name.strip_suffix(extension) {
            return (stem, compression);
        }
    }
    (name, Compression::None)
}

impl FileFormat {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "parquet" => Ok(Self::Parquet),
            _ => Err(format!("the format {text:?} is not known: use csv, tsv, ndjson or parquet")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell() {
        let of = |path| FileKind::of_path(path).map(|kind| (kind.format, kind.compression));
        assert_eq!(of("a/b.CSV"), Some((FileFormat::Csv, Compression::None)));
        assert_eq!(of("b.jsonl.gz"), Some((FileFormat::Ndjson, Compression::Gzip)));
        assert_eq!(of("b.tsv.zst"), Some((FileFormat::Tsv, Compression::Zstd)));
        assert_eq!(of("b.parquet"), Some((FileFormat::Parquet, Compression::None)));
        for unknown in ["b", "b.gz", "csv", "a.csv/b", "b.csv.bz2", "b.parquet.gz", "b.xlsx"] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        assert_eq!(
            FileKind::with_format(FileFormat::Csv, "data.gz").compression,
            Compression::Gzip
        );
    }
}
