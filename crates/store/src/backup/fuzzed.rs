//! Any bytes as a backup, for [`crate::fuzzing`].

use std::path::Path;

use super::format::{self, BLOCK_HEAD, BlockHead, FOOTER, Fields, Footer};
use super::reader::BackupReader;
use super::{BackupId, item};

/// The id that seeds have, so that a file that reads as one gets that far.
const ID: &str = "fuzz";

/// Reads a file to its end, if it is one.
pub(crate) fn file(path: &Path) {
    let id = BackupId::try_new(ID).expect("a good id");
    let Ok(mut reader) = BackupReader::open(&id, path.to_owned()) else {
        return;
    };
    let mut items = 0_u64;
    if reader.load(|_| items += 1).is_ok() {
        assert!(reader.info.entries <= items, "the footer tells how many there are");
    }
}

/// Reads what a checksum protects in a whole file.
pub(crate) fn parts(bytes: &[u8]) {
    let sealed = [bytes, &crc32c::crc32c(bytes).to_le_bytes()].concat();
    if let Ok((meta, length)) = format::decode_header(&sealed) {
        assert!(length <= sealed.len());
        // Not the same bytes: ids may be written in capitals.
        let again = format::encode_header(&meta);
        assert_eq!(format::decode_header(&again), Ok((meta, again.len())));
    }
    if let Some(head) = sealed.first_chunk::<BLOCK_HEAD>().and_then(BlockHead::decode) {
        assert_eq!(head.encode(), sealed[..BLOCK_HEAD]);
    }
    if let Some(footer) = sealed.first_chunk::<FOOTER>().and_then(Footer::decode) {
        assert_eq!(footer.encode(), sealed[..FOOTER]);
    }
    let mut fields = Fields(bytes);
    let mut again = Vec::new();
    while let Some(item) = item::decode(&mut fields) {
        item::encode(&item, &mut again);
        assert_eq!(again[..], bytes[..bytes.len() - fields.0.len()], "an item has one form");
    }
}
