//! Large values travel and are kept compressed, when that saves a fifth. Masters do it: owners never look into values.

use api::cache::Packing;
use bytes::Bytes;

/// What a value must shrink to, in percent, to be kept compressed.
const WORTH_IT: usize = 80;
/// Bytes before the block: the length it unpacks to.
const HEADER: usize = 4;

/// Compresses a value of at least `threshold` bytes, if that is worth it.
pub(crate) fn pack(value: Bytes, threshold: usize) -> (Bytes, Packing) {
    if value.len() < threshold.max(1) {
        return (value, Packing::Plain);
    }
    let packed = lz4_flex::compress_prepend_size(&value);
    if packed.len() * 100 <= value.len() * WORTH_IT {
        (packed.into(), Packing::Lz4)
    } else {
        (value, Packing::Plain)
    }
}

/// The value as it was sent; none when it is damaged, or claims to be larger than `limit`.
pub(crate) fn unpack(value: Bytes, packing: Packing, limit: usize) -> Option<Bytes> {
    match packing {
        Packing::Plain => Some(value),
        Packing::Lz4 => {
            let (length, _) = value.split_first_chunk::<HEADER>()?;
            if u32::from_le_bytes(*length) as usize > limit {
                return None;
            }
            lz4_flex::decompress_size_prepended(&value).ok().map(Bytes::from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shrinks_is_packed_and_comes_back() {
        let value = Bytes::from("the same again; ".repeat(1000));
        let (packed, packing) = pack(value.clone(), 1024);
        assert_eq!(packing, Packing::Lz4);
        assert!(packed.len() < value.len() / 10);
        assert_eq!(unpack(packed, packing, value.len()), Some(value));
    }

    #[test]
    fn small_values_and_noise_stay_as_they_are() {
        let noise: Bytes = (0..4096).map(|_| fastrand::u8(..)).collect();
        assert_eq!(pack(noise.clone(), 1024), (noise, Packing::Plain));
        let small = Bytes::from("a".repeat(100));
        assert_eq!(pack(small.clone(), 1024), (small, Packing::Plain));
    }

    #[test]
    fn damage_and_bombs_are_refused() {
        let (packed, packing) = pack(Bytes::from(vec![7; 1 << 20]), 1024);
        assert_eq!(unpack(packed.clone(), packing, 1 << 10), None, "larger than any value may be");
        assert_eq!(unpack(packed.slice(..packed.len() / 2), packing, 1 << 20), None);
        assert_eq!(unpack(Bytes::from_static(b"ab"), packing, 1 << 20), None);
    }
}
