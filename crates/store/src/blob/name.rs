//! Names of blobs, and the files they stand for.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use super::error::Error;

/// Longest name; leaves room for a suffix within the 255 bytes of a file name.
pub const MAX_NAME_BYTES: usize = 200;

/// Stands for '/' in file names; not allowed in names.
const SEPARATOR: &str = "+";

/// A name: segments of `[a-zA-Z0-9._=-]` separated by '/', none of them `.` or `..`, at most [`MAX_NAME_BYTES`] in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobName(String);

impl BlobName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`Error::InvalidName`].
    pub fn try_new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > MAX_NAME_BYTES {
            "it is longer than 200 bytes"
        } else if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'=' | b'-' | b'/'))
        {
            "use letters, digits, '.', '_', '=' and '-', with '/' between segments"
        } else if name.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            "a segment is empty, '.' or '..'"
        } else {
            return Ok(Self(name));
        };
        Err(Error::InvalidName { name, reason })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of its file: flat, so that `a` and `a/b` can both exist.
    pub(super) fn file_name(&self) -> String {
        self.0.replace('/', SEPARATOR)
    }

    /// The blob a file stands for; none when the file is not ours.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        Self::try_new(name.replace(SEPARATOR, "/")).ok()
    }
}

impl Borrow<str> for BlobName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BlobName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::try_new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_directory_are_refused() {
        for name in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "a b", "a+b", "a%2fb", "é", "a\0",
        ] {
            assert!(BlobName::try_new(name).is_err(), "{name:?}");
        }
        assert!(BlobName::try_new("x".repeat(MAX_NAME_BYTES + 1)).is_err());
    }

    #[test]
    fn file_names_and_names_are_one_to_one() {
        for name in [
            "a",
            "a/b",
            "jobs/0190/2/..x/part-0.arrow",
            ".hidden",
            "A_b-c.9",
            "year=2026/x",
        ] {
            let parsed = BlobName::try_new(name).expect("valid");
            assert!(!parsed.file_name().contains('/'));
            assert_eq!(BlobName::from_file_name(&parsed.file_name()), Some(parsed));
        }
    }
}
