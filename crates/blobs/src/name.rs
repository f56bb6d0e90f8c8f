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

#[cfg(test)]
mod tests {
    use api::dataset::plain;

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
