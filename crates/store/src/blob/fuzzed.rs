//! Any bytes as parts of a blob's file, for [`crate::fuzzing`].

use std::path::{Component, Path};

use super::format::{FOOTER, Trailer};
use super::name::BlobName;

/// The bytes behind a content that is as long as they say.
pub(crate) fn trailer(bytes: &[u8]) {
    let sealed = [bytes, &crc32c::crc32c(bytes).to_le_bytes()].concat();
    let Some(footer) = sealed.last_chunk::<FOOTER>() else { return };
    let length = u64::from_le_bytes([
        footer[12], footer[13], footer[14], footer[15], footer[16], footer[17], footer[18], footer[19],
    ]);
    for file in [length.saturating_add(sealed.len() as u64), sealed.len() as u64, u64::MAX] {
        let content = Trailer::content_len(file);
        assert!(content <= file, "{content} of {file}");
        let Ok((len, crc32c, rest)) = Trailer::decode_footer(footer, file) else {
            continue;
        };
        if rest == sealed.len()
            && let Ok(trailer) = Trailer::decode(&sealed, len, crc32c)
        {
            assert_eq!(trailer.encode(), sealed, "a trailer has one form");
        }
    }
}

/// A name that was accepted.
pub(crate) fn name(name: &BlobName) {
    let file = name.file_name();
    let parts: Vec<_> = Path::new(&file).components().collect();
    assert!(matches!(parts[..], [Component::Normal(_)]), "{file:?} is more than a name");
    assert_eq!(BlobName::from_file_name(&file).as_ref(), Some(name));
}
