//! Names of blobs: the same rules for every engine.

use store::blob::BlobName;

use crate::{Error, Result};

pub use store::blob::MAX_NAME_BYTES;

/// Refuses what is no name of a blob.
///
/// # Errors
/// [`Error::Invalid`].
pub fn check_name(name: &str) -> Result<()> {
    BlobName::try_new(name)
        .map(drop)
        .map_err(|error| Error::Invalid(error.to_string()))
}

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
        assert!(check_name(&format!("x/{}", plain("ü/ /\\%", 90))).is_ok());
    }
}
