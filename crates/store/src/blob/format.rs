//! What a blob's file looks like: the content as it is, then a checksum per block, then a footer of fixed size.
//!
//! ```text
//! content | crc32c of each block, u32 le … | magic 8 | block size u32 | length u64 | crc32c of content u32 | crc32c of all after the content up to here u32
//! ```
//! Block checksums let a reader verify what it hands out without reading the rest.

/// Bytes per block; the last one is shorter.
pub(super) const BLOCK: usize = 256 * 1024;

/// Begins the footer; the digits are the version of the format.
const MAGIC: &[u8; 8] = b"ECBLOB01";

/// Bytes of the footer.
pub(super) const FOOTER: usize = 8 + 4 + 8 + 4 + 4;

/// Everything in a file but the content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Trailer {
    /// crc32c of each block.
    pub(super) blocks: Vec<u32>,
    /// Bytes of content.
    pub(super) len: u64,
    /// crc32c of the content.
    pub(super) crc32c: u32,
}

impl Trailer {
    /// Takes note of one more block; all but the last have [`BLOCK`] bytes.
    pub(super) fn push(&mut self, block: &[u8]) {
        let checksum = crc32c::crc32c(block);
        self.blocks.push(checksum);
        self.len += block.len() as u64;
        self.crc32c = crc32c::crc32c_combine(self.crc32c, checksum, block.len());
    }

    /// Takes note of the last block, which may be empty, and gives the bytes after the content.
    pub(super) fn encode_after(&mut self, last: &[u8]) -> Vec<u8> {
        if !last.is_empty() {
            self.push(last);
        }
        self.encode()
    }

    /// The bytes after the content.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.blocks.len() * 4 + FOOTER);
        bytes.extend(self.blocks.iter().flat_map(|checksum| checksum.to_le_bytes()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(BLOCK as u32).to_le_bytes());
        bytes.extend_from_slice(&self.len.to_le_bytes());
        bytes.extend_from_slice(&self.crc32c.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// Bytes of content in a whole file of `file_len` bytes, without reading it.
    pub(super) fn content_len(file_len: u64) -> u64 {
        let rest = file_len.saturating_sub(FOOTER as u64);
        // No blob has only a part of its one checksum; such a file was cut.
        rest.saturating_sub(rest.div_ceil(BLOCK as u64 + 4).saturating_mul(4))
    }

    /// Reads the footer of a file of `file_len` bytes: length and checksum of the content, and how many bytes there are
    /// after the content. What does not fit is said in words.
    pub(super) fn decode_footer(footer: &[u8; FOOTER], file_len: u64) -> Result<(u64, u32, usize), String> {
        let number = |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
        if &footer[..8] != MAGIC {
            return Err("the footer is missing; the file was cut or is no blob".to_owned());
        }
        if number(8) as usize != BLOCK {
            return Err(format!("blocks of {} bytes are not supported", number(8)));
        }
        let len = u64::from(number(12)) | u64::from(number(16)) << 32;
        let table = len.div_ceil(BLOCK as u64).checked_mul(4);
        let expected = table
            .and_then(|table| len.checked_add(table))
            .and_then(|sum| sum.checked_add(FOOTER as u64));
        if expected != Some(file_len) {
            return Err(format!(
                "the file has {file_len} bytes, which does not fit a content of {len}"
            ));
        }
        Ok((
            len,
            number(20),
            usize::try_from(file_len - len).map_err(|_| "the footer is too large".to_owned())?,
        ))
    }

    /// Reads everything after the content, footer included.
    pub(super) fn decode(bytes: &[u8], len: u64, crc32c: u32) -> Result<Self, String> {
        let (covered, checksum) = bytes.split_at(bytes.len() - 4);
        if crc32c::crc32c(covered).to_le_bytes() != checksum {
            return Err("the checksums are damaged".to_owned());
        }
        let table = &bytes[..bytes.len() - FOOTER];
        let blocks = table
            .chunks_exact(4)
            .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
            .collect();
        Ok(Self { blocks, len, crc32c })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_survives_encoding_and_no_flipped_bit_does() {
        let mut trailer = Trailer::default();
        trailer.push(&vec![1; BLOCK]);
        trailer.push(b"rest");
        let bytes = trailer.encode();
        let file_len = trailer.len + bytes.len() as u64;
        let read = |bytes: &[u8]| {
            let footer = bytes[bytes.len() - FOOTER..].try_into().expect("long enough");
            let (len, crc32c, rest) = Trailer::decode_footer(&footer, file_len)?;
            assert_eq!(rest, bytes.len());
            Trailer::decode(bytes, len, crc32c)
        };
        assert_eq!(read(&bytes), Ok(trailer.clone()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_length_of_the_content_follows_from_that_of_the_file() {
        let block = BLOCK as u64;
        for len in [
            0,
            1,
            block - 1,
            block,
            block + 1,
            2 * block,
            7 * block + 5,
            4000 * block,
            4000 * block + 1,
        ] {
            let file_len = len + 4 * len.div_ceil(block) + FOOTER as u64;
            assert_eq!(Trailer::content_len(file_len), len);
        }
    }

    #[test]
    fn a_file_that_was_cut_to_a_few_bytes_has_no_content() {
        for file_len in 0..FOOTER as u64 + 5 {
            assert_eq!(Trailer::content_len(file_len), 0, "{file_len} bytes");
        }
    }

    #[test]
    fn the_combined_checksum_is_that_of_the_content() {
        let content: Vec<u8> = (0..BLOCK + 77).map(|n| n as u8).collect();
        let mut trailer = Trailer::default();
        content.chunks(BLOCK).for_each(|block| trailer.push(block));
        assert_eq!(trailer.crc32c, crc32c::crc32c(&content));
    }
}
