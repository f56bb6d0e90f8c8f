//! What a table's specification means.

use std::path::PathBuf;

use api::job::TableSpec;
use url::Url;

use crate::Error;

/// Where the rows of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file, a directory or a pattern on disk.
    File(PathBuf),
    /// One file behind HTTP.
    Http(Url),
    /// An object, a prefix that ends in `/`, or a pattern, in a bucket.
    S3 { bucket: String, key: String },
    /// A dataset, whose files are known.
    Dataset(String),
    /// Keys with a prefix.
    Kv(String),
}

impl Place {
    pub(super) fn of(spec: &TableSpec) -> Result<Self, Error> {
        match (&spec.uri, &spec.dataset) {
            (Some(uri), None) => Self::of_uri(uri),
            (None, Some(dataset)) => Ok(Self::Dataset(dataset.clone())),
            _ => Err(Error::Invalid("a table needs `uri` or `dataset`, and not both".to_owned())),
        }
    }

    fn of_uri(uri: &str) -> Result<Self, Error> {
        if let Some(prefix) = uri.strip_prefix("kv:") {
            return Ok(Self::Kv(prefix.to_owned()));
        }
        if uri.starts_with("http://") || uri.starts_with("https://") {
            let url = Url::parse(uri).map_err(|error| Error::Invalid(format!("uri {uri:?} is not a valid URL: {error}")))?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err(Error::Invalid(format!(
                    "uri {uri:?} has a query or a fragment, which tables cannot have (percent-encode ? and #)"
                )));
            }
            return Ok(Self::Http(url));
        }
        if let Some(rest) = uri.strip_prefix("s3://") {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(Error::Invalid(format!("uri {uri:?} names no bucket: write s3://bucket/key")));
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            });
        }
        path_of(uri).map(Self::File)
    }
}

/// The path a `file://` URI names. `?` is a pattern in it, not the beginning of a query.
fn path_of(uri: &str) -> Result<PathBuf, Error> {
    let refuse = |why: &str| Error::Invalid(format!("uri {uri:?} {why}: write file:///absolute/path"));
    let rest = uri
        .strip_prefix("file://")
        .ok_or_else(|| refuse("is not a URI that tables are read from (file:///, https://, s3:// or kv:)"))?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(refuse("names a host"));
    }
    if path.contains('#') {
        return Err(refuse("has a fragment (percent-encode # as %23)"));
    }
    let encoded = path.to_ascii_lowercase();
    if encoded.contains("%2f") || encoded.contains("%00") {
        return Err(refuse("is not a valid URI"));
    }
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    let decoded = decoded.map_err(|_| refuse("is not a valid URI"))?;
    Ok(PathBuf::from(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_literally_but_for_percent_signs() {
        for (uri, path) in [
            ("file:///a/b.csv", "/a/b.csv"),
            ("file:///a/part-?.csv", "/a/part-?.csv"),
            ("file:///a/year=*/[ab].csv", "/a/year=*/[ab].csv"),
            ("file:///a%20b/%25.csv", "/a b/%.csv"),
            ("file:///a b/é.csv", "/a b/é.csv"),
        ] {
            assert_eq!(Place::of_uri(uri).unwrap(), Place::File(path.into()));
        }
        for uri in [
            "/a",
            "file://host/a",
            "file:a",
            "file:///a#b",
            "file:///a%2Fb",
            "file:///%ff",
            "ftp://x/y",
            "s3:///x",
            "http:///",
        ] {
            assert!(matches!(Place::of_uri(uri), Err(Error::Invalid(_))), "{uri}");
        }
    }
}
