//! The frame of everything on disk: length, checksum of the payload, checksum of the header, payload.
//!
//! The header's checksum covers the file's number and the frame's offset, so that a block that landed in the wrong place
//! does not pass, and a flipped length is told from a flipped payload.

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 12;

/// What stands at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole frame.
    Whole {
        /// Its payload.
        payload: &'a [u8],
        /// Offset of what follows.
        next: usize,
    },
    /// The file ends here.
    End,
    /// Not a frame.
    Broken {
        /// What is wrong with it.
        reason: &'static str,
        /// Whether the file may simply have ended before the frame was written whole.
        reaches_end: bool,
    },
}

/// Appends a frame to `buffer`, which holds the file's bytes from `offset` on; `fill` writes the payload.
pub(crate) fn write<E>(
    buffer: &mut Vec<u8>,
    number: u64,
    offset: u64,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = buffer.len();
    buffer.resize(start + HEADER_BYTES, 0);
    fill(buffer)?;
    let payload = &buffer[start + HEADER_BYTES..];
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let checksum = crc32c::crc32c(payload).to_le_bytes();
    let header = header_checksum(number, offset + start as u64, &length, &checksum).to_le_bytes();
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + 8].copy_from_slice(&checksum);
    buffer[start + 8..start + HEADER_BYTES].copy_from_slice(&header);
    Ok(())
}

/// Reads the frame at an offset of a file's bytes.
pub(crate) fn read(bytes: &[u8], number: u64, offset: usize) -> Frame<'_> {
    let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) else {
        return Frame::End;
    };
    let Some((header, body)) = rest.split_at_checked(HEADER_BYTES) else {
        return Frame::Broken {
            reason: "the header is cut off",
            reaches_end: true,
        };
    };
    let Some(length) = payload_length(header, number, offset as u64) else {
        return Frame::Broken {
            reason: "the header's checksum does not match",
            reaches_end: false,
        };
    };
    let Some(payload) = body.get(..length) else {
        return Frame::Broken {
            reason: "the payload is cut off",
            reaches_end: true,
        };
    };
    if !payload_matches(header, payload) {
        let reaches_end = length == body.len();
        return Frame::Broken {
            reason: "the payload's checksum does not match",
            reaches_end,
        };
    }
    Frame::Whole {
        payload,
        next: offset + HEADER_BYTES + length,
    }
}

/// Length of the payload that a header announces; none when the header is not one.
pub(crate) fn payload_length(header: &[u8], number: u64, offset: u64) -> Option<usize> {
    let stored = header.get(8..HEADER_BYTES)?;
    if header_checksum(number, offset, &header[..4], &header[4..8]).to_le_bytes() != *stored {
        return None;
    }
    let length: [u8; 4] = header[..4].try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()
}

/// Whether a payload is the one its header was written for.
pub(crate) fn payload_matches(header: &[u8], payload: &[u8]) -> bool {
    header.get(4..8) == Some(&crc32c::crc32c(payload).to_le_bytes())
}

fn header_checksum(number: u64, offset: u64, length: &[u8], checksum: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), &offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(place, length), checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in payloads {
            write(&mut bytes, 7, 0, |out| {
                out.extend_from_slice(payload);
                Ok::<_, ()>(())
            })
            .unwrap();
        }
        bytes
    }

    #[test]
    fn frames_come_back_in_order() {
        let bytes = file(&[b"one", b"", b"three"]);
        let mut offset = 0;
        let mut payloads = Vec::new();
        while let Frame::Whole { payload, next } = read(&bytes, 7, offset) {
            payloads.push(payload.to_vec());
            offset = next;
        }
        assert_eq!(payloads, [b"one".to_vec(), Vec::new(), b"three".to_vec()]);
        assert_eq!(read(&bytes, 7, offset), Frame::End);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = file(&[b"payload"]);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(read(&damaged, 7, 0), Frame::Broken { .. }), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_file_is_refused() {
        let bytes = file(&[b"payload"]);
        assert!(matches!(read(&bytes, 8, 0), Frame::Broken { .. }));
    }

    #[test]
    fn every_cut_reaches_the_end() {
        let bytes = file(&[b"payload"]);
        for length in 1..bytes.len() {
            assert!(
                matches!(read(&bytes[..length], 7, 0), Frame::Broken { reaches_end: true, .. }),
                "length {length}"
            );
        }
    }
}
