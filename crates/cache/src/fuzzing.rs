//! The packing of values, for fuzzers: each takes any bytes, and asserts what must stay true of them.

use api::cache::Packing;
use bytes::Bytes;

use crate::front::packing;

/// Any bytes as a value that an owner has.
pub fn unpack(bytes: &[u8], packing: Packing, limit: usize) {
    if let (Some(value), Packing::Lz4) = (packing::unpack(Bytes::copy_from_slice(bytes), packing, limit), packing) {
        assert!(value.len() <= limit, "{} bytes", value.len());
    }
}

/// What is packed comes back as it was.
pub fn pack_and_unpack(bytes: &[u8]) {
    let value = Bytes::copy_from_slice(bytes);
    let (packed, packing) = packing::pack(value.clone(), 1);
    assert_eq!(packing::unpack(packed, packing, bytes.len()), Some(value));
}
