//! `-t name=path[:format]`, `-t name=dataset:sales`, `-t name=kv:prefix`: where a table's rows are, as people write it.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use api::job::{TableFormat, TableSpec};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::exit::UsageError;

/// What is escaped in the path of a `file://` URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'=')
    .remove(b'+')
    .remove(b',')
    .remove(b'*')
    .remove(b'@')
    .remove(b':');

/// One `-t` flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedTable {
    /// Name the query uses.
    pub(super) name: String,
    location: Location,
    format: Option<TableFormat>,
}

/// A place as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    /// With a scheme.
    Uri(String),
    /// A path on this machine.
    Path(PathBuf),
    /// A dataset.
    Dataset(String),
}

impl FromStr for NamedTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is no table; write name=path, as in orders=data/orders.csv"))?;
        let (name, place) = (name.trim(), place.trim());
        let starts_well = name.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_');
        if !starts_well || !name.chars().all(|character| character.is_alphanumeric() || character == '_') {
            return Err(format!(
                "{name:?} is no table name; use letters, digits and _, not a digit first"
            ));
        }
        let (place, format) = split_format(place);
        if place.is_empty() {
            return Err(format!("the table {name} has no path; write {name}=path"));
        }
        let location = if let Some(dataset) = place.strip_prefix("dataset:") {
            Location::Dataset(dataset.to_owned())
        } else if place.contains("://") || place.starts_with("kv:") {
            Location::Uri(place.to_owned())
        } else {
            Location::Path(place.into())
        };
        Ok(Self {
            name: name.to_owned(),
            location,
            format,
        })
    }
}

/// Takes a known format off the end; any other colon belongs to the path.
fn split_format(place: &str) -> (&str, Option<TableFormat>) {
    let known = |name: &str| match name.to_ascii_lowercase().as_str() {
        "csv" => Some(TableFormat::Csv),
        "parquet" => Some(TableFormat::Parquet),
        "ndjson" | "jsonl" => Some(TableFormat::Ndjson),
        _ => None,
    };
    match place.rsplit_once(':').and_then(|(path, format)| Some((path, known(format)?))) {
        Some((path, format)) => (path, Some(format)),
        None => (place, None),
    }
}

impl NamedTable {
    /// What the API takes: a relative path becomes an absolute `file://` URI under `directory`.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub(super) fn spec(&self, directory: &Path) -> Result<TableSpec, UsageError> {
        let (uri, dataset) = match &self.location {
            Location::Uri(uri) => (Some(uri.clone()), None),
            Location::Path(path) => (Some(file_uri(&directory.join(path))?), None),
            Location::Dataset(dataset) => (None, Some(dataset.clone())),
        };
        Ok(TableSpec {
            uri,
            dataset,
            format: self.format,
            ..TableSpec::default()
        })
    }
}

/// The `file://` URI of an absolute path. A slash at its end stays: it says that this is a directory.
pub(crate) fn file_uri(path: &Path) -> Result<String, UsageError> {
    let text = path
        .to_str()
        .ok_or_else(|| UsageError(format!("the path {} is not UTF-8", path.display())))?;
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    let mut plain = plain.to_string_lossy().into_owned();
    if (text.ends_with('/') || path.is_dir()) && !plain.ends_with('/') {
        plain.push('/');
    }
    Ok(format!("file://{}", utf8_percent_encode(&plain, PATH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> (String, Option<TableFormat>) {
        let spec = text.parse::<NamedTable>().unwrap().spec(Path::new("/srv/here")).unwrap();
        (spec.uri.unwrap(), spec.format)
    }

    #[test]
    fn relative_paths_become_absolute_uris() {
        assert_eq!(spec("t=data/a b.csv"), ("file:///srv/here/data/a%20b.csv".to_owned(), None));
        assert_eq!(spec("t=./x/../y.parquet"), ("file:///srv/here/y.parquet".to_owned(), None));
        assert_eq!(spec("t=/abs/dir/"), ("file:///abs/dir/".to_owned(), None));
        assert_eq!(spec("t=../../../../etc/x.csv"), ("file:///etc/x.csv".to_owned(), None));
        assert_eq!(spec("t=é#?.csv"), ("file:///srv/here/%C3%A9%23%3F.csv".to_owned(), None));
    }

    #[test]
    fn datasets_and_keys_are_no_paths() {
        let spec = |text: &str| text.parse::<NamedTable>().unwrap().spec(Path::new("/srv")).unwrap();
        assert_eq!(spec("t=dataset:sales").dataset.as_deref(), Some("sales"));
        assert_eq!(spec("t=dataset:sales").uri, None);
        assert_eq!(spec("t=kv:users/").uri.as_deref(), Some("kv:users/"));
    }

    #[test]
    fn format_is_taken_off_the_end_only_when_it_is_one() {
        assert_eq!(
            spec("t=a.txt:csv"),
            ("file:///srv/here/a.txt".to_owned(), Some(TableFormat::Csv))
        );
        assert_eq!(
            spec("t=a:JSONL"),
            ("file:///srv/here/a".to_owned(), Some(TableFormat::Ndjson))
        );
        assert_eq!(spec("t=a:b.csv"), ("file:///srv/here/a:b.csv".to_owned(), None));
        assert_eq!(
            spec("t=file:///d/x:parquet"),
            ("file:///d/x".to_owned(), Some(TableFormat::Parquet))
        );
        assert_eq!(spec("t=s3://bucket/x"), ("s3://bucket/x".to_owned(), None));
    }

    #[test]
    fn what_is_after_the_first_equals_sign_is_the_path() {
        assert_eq!(
            spec("t=year=2024/x.csv"),
            ("file:///srv/here/year=2024/x.csv".to_owned(), None)
        );
    }

    #[test]
    fn directories_end_with_a_slash() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("t={}", directory.path().display());
        assert!(spec(&text).0.ends_with('/'));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "orders", "=x.csv", "1t=x", "a-b=x", "t=", "t= ", "t=:csv"] {
            assert!(text.parse::<NamedTable>().is_err(), "{text}");
        }
    }
}
