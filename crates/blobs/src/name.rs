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
