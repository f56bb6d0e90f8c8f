//! Names: of datasets, of files in them, of their blobs, and of keys in the control store.

use std::fmt;
use std::sync::Arc;

use api::dataset::{blob_prefix, plain};
use blobs::MAX_NAME_BYTES;

use super::Error;

/// Prefix of all manifests: `datasets/{namespace or _}/{name}`, value [`super::Manifest`] as JSON.
pub const MANIFESTS: &str = "datasets/";
/// Prefix of what is being written: `blobs/intents/{version}`, value the blob's name, bound to the writer's lease.
pub const INTENTS: &str = "blobs/intents/";

/// Longest name of a dataset.
const MAX_DATASET_BYTES: usize = 64;
/// Longest path of a file.
const MAX_PATH_BYTES: usize = 512;

/// A dataset's name in its namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    namespace: Arc<str>,
    name: String,
}

impl Name {
    /// Checks a name: letters, digits, `_`, `-` and `.`, beginning with a letter or digit, at most 64. The namespace is checked where
    /// it comes from.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn try_new(namespace: impl Into<Arc<str>>, name: impl Into<String>) -> Result<Self, Error> {
        let (namespace, name) = (namespace.into(), name.into());
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let begins = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if begins && name.len() <= MAX_DATASET_BYTES && name.bytes().all(valid) {
            Ok(Self { namespace, name })
        } else {
            Err(Error::Invalid(format!(
                "{name:?} cannot be the name of a dataset: use 1 to {MAX_DATASET_BYTES} letters, digits, _, - and ., the first a letter or digit"
            )))
        }
    }

    /// Its namespace; empty is the default one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Without the namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Key of its manifest.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}{}", manifests_of(&self.namespace), self.name)
    }

    /// The name of a new blob of it.
    pub(crate) fn blob(&self, version: &str, path: &str) -> String {
        let prefix = format!("{}{version}/", blob_prefix(&self.namespace, &self.name));
        let path = plain(path, MAX_NAME_BYTES - prefix.len());
        format!("{prefix}{}", if path.is_empty() { "_" } else { &path })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Prefix of the manifests of a namespace. No namespace begins with `_`.
pub(super) fn manifests_of(namespace: &str) -> String {
    let namespace = if namespace.is_empty() { "_" } else { namespace };
    format!("{MANIFESTS}{namespace}/")
}

/// Checks the path of a file within a dataset.
pub(crate) fn check_path(path: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Invalid(format!("{path:?} cannot be the path of a file: {why}")));
    if path.is_empty() || path.len() > MAX_PATH_BYTES {
        return refuse("use 1 to 512 bytes");
    }
    if path.contains(|c: char| c.is_control() || c == '\\') {
        return refuse("it has control characters or backslashes");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refuse("a part between slashes is empty, . or ..");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_that_would_not_do_are_refused() {
        for wrong in ["", "_x", ".x", "a/b", "a b", "é", &"n".repeat(65)] {
            assert!(Name::try_new("", wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "a\\b", &"n".repeat(513)] {
            assert!(check_path(wrong).is_err(), "{wrong:?}");
        }
        assert!(check_path("year=2026/month=1/data é.csv").is_ok());
    }

    #[test]
    fn every_blob_has_a_valid_name_that_begins_with_its_datasets() {
        let version = "0190a1b2-0000-7000-8000-000000000000";
        for namespace in ["", ".", "ünï cødé", &"n".repeat(128)] {
            for path in ["a.csv", "é", &"long/".repeat(100), "year=1/x y.csv.gz"] {
                let name = Name::try_new(namespace, "d".repeat(64)).unwrap();
                let blob = name.blob(version, path);
                assert!(blobs::check_name(&blob).is_ok(), "{blob}");
                assert!(blob.starts_with(&blob_prefix(namespace, name.name())));
            }
        }
        assert_eq!(Name::try_new("", "x").unwrap().key(), "datasets/_/x");
        assert_eq!(Name::try_new("team", "x").unwrap().key(), "datasets/team/x");
    }
}
