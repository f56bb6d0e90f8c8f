//! Checksums of shuffle files: a flipped bit, on disk or under way, is an error and never a wrong answer.
//!
//! A file is a sequence of frames: length of the payload, CRC-32C, number, kind, each 4 bytes, little endian, then the payload.
//! The checksum is over everything but itself. Payloads, put together, are the bytes of an Arrow IPC stream; a last frame without
//! payload says that this was all, so a file that is cut short is noticed, wherever it is cut. Headers have 16 bytes and payloads
//! are multiples of them (Arrow pads its messages), so arrays inside are aligned and need not be copied.

use std::io::{self, Write};

use bytes::{Buf, Bytes, BytesMut};

/// Bytes before the payload.
pub(super) const HEADER: usize = 16;
/// Payloads end at the first message that reaches this.
const FULL: usize = 64 * 1024;
/// A message larger than this is cut into several frames.
const LARGEST: usize = 16 << 20;
const DATA: u32 = 0x4441_5441;
const END: u32 = 0x454e_4421;

/// Why frames cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("its frame {0} is damaged (checksum)")]
    Checksum(u32),
    #[error("its frame {0} is not where it belongs")]
    Order(u32),
    #[error("it goes on after its last frame")]
    AfterTheEnd,
}

/// Writes frames.
#[derive(Debug)]
pub(super) struct Frames<W: Write> {
    to: W,
    /// Room for a header, then the payload so far.
    frame: Vec<u8>,
    number: u32,
}

impl<W: Write> Frames<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            frame: vec![0; HEADER],
            number: 0,
        }
    }

    /// A message is complete: a good place to end a frame.
    pub(super) fn end_message(&mut self) -> io::Result<()> {
        if self.frame.len() >= FULL { self.emit(DATA) } else { Ok(()) }
    }

    /// Writes what is left and the last frame.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.frame.len() > HEADER {
            self.emit(DATA)?;
        }
        self.emit(END)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn emit(&mut self, kind: u32) -> io::Result<()> {
        let length = u32::try_from(self.frame.len() - HEADER).map_err(io::Error::other)?;
        self.frame[0..4].copy_from_slice(&length.to_le_bytes());
        self.frame[8..12].copy_from_slice(&self.number.to_le_bytes());
        self.frame[12..16].copy_from_slice(&kind.to_le_bytes());
        let sum = checksum(&self.frame);
        self.frame[4..8].copy_from_slice(&sum.to_le_bytes());
        self.to.write_all(&self.frame)?;
        self.number += 1;
        self.frame.truncate(HEADER);
        Ok(())
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (HEADER + LARGEST).saturating_sub(self.frame.len());
        let taken = bytes.len().min(room);
        self.frame.extend_from_slice(&bytes[..taken]);
        if self.frame.len() >= HEADER + LARGEST {
            self.emit(DATA)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Length, number and kind, then the payload.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[0..4]), &frame[8..])
}

/// How many more bytes the frame that begins here has, if its header can be believed.
pub(super) fn length_of(header: &[u8; HEADER]) -> Option<usize> {
    let [a, b, c, d, ..] = *header;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (length <= LARGEST).then_some(length)
}

/// Takes frames apart as they arrive.
#[derive(Debug, Default)]
pub(super) struct Unframer {
    chunk: Bytes,
    /// The beginning of a frame that goes on in the next chunk.
    partial: BytesMut,
    number: u32,
    ended: bool,
}

impl Unframer {
    /// Takes the next bytes; [`Self::next`] must have returned `None` since the last call.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "bytes would be lost");
        self.chunk = chunk;
    }

    /// Whether the last frame was seen, and nothing after it.
    pub(super) fn is_complete(&self) -> bool {
        self.ended && self.chunk.is_empty() && self.partial.is_empty()
    }

    /// The next payload that is whole, `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Damage> {
        loop {
            if self.ended {
                return if self.is_complete() {
                    Ok(None)
                } else {
                    Err(Damage::AfterTheEnd)
                };
            }
            let Some(mut frame) = self.next_frame()? else {
                return Ok(None);
            };
            let word = |at: usize| {
                frame[at..at + 4]
                    .iter()
                    .rev()
                    .fold(0, |word, byte| word << 8 | u32::from(*byte))
            };
            if word(4) != checksum(&frame) {
                return Err(Damage::Checksum(self.number));
            }
            let kind = word(12);
            if word(8) != self.number || !(kind == DATA || kind == END) {
                return Err(Damage::Order(self.number));
            }
            self.number += 1;
            if kind == DATA {
                frame.advance(HEADER);
                return Ok(Some(frame));
            }
            self.ended = true;
        }
    }

    /// The bytes of a whole frame: a part of the chunk where it can be, put together where it must be.
    fn next_frame(&mut self) -> Result<Option<Bytes>, Damage> {
        if self.partial.is_empty() {
            match self.size(&self.chunk)? {
                Some(size) if size <= self.chunk.len() => return Ok(Some(self.chunk.split_to(size))),
                _ => {
                    self.partial.extend_from_slice(&self.chunk);
                    self.chunk.clear();
                    return Ok(None);
                }
            }
        }
        let lacking = HEADER.saturating_sub(self.partial.len()).min(self.chunk.len());
        self.partial.extend_from_slice(&self.chunk.split_to(lacking));
        let Some(size) = self.size(&self.partial)? else {
            return Ok(None);
        };
        let lacking = (size - self.partial.len()).min(self.chunk.len());
        self.partial.reserve(size - self.partial.len());
        self.partial.extend_from_slice(&self.chunk.split_to(lacking));
        Ok((self.partial.len() == size).then(|| self.partial.split().freeze()))
    }

    /// Of the frame that begins here, header included; `None` while the header is not there.
    fn size(&self, bytes: &[u8]) -> Result<Option<usize>, Damage> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = length_of(header).ok_or(Damage::Checksum(self.number))?;
        Ok(Some(HEADER + length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut frames = Frames::new(Vec::new());
        for message in messages {
            frames.write_all(message).unwrap();
            frames.end_message().unwrap();
        }
        frames.finish().unwrap()
    }

    /// What comes out when the bytes arrive in pieces of these sizes.
    fn unframed(bytes: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Damage> {
        let (mut unframer, mut out) = (Unframer::default(), Vec::new());
        for chunk in bytes.chunks(piece) {
            unframer.feed(Bytes::copy_from_slice(chunk));
            while let Some(payload) = unframer.next()? {
                out.extend_from_slice(&payload);
            }
        }
        Ok(unframer.is_complete().then_some(out))
    }

    #[test]
    fn a_message_larger_than_a_frame_takes_several() {
        let large = vec![7; LARGEST * 2 + 5];
        let bytes = framed(std::slice::from_ref(&large));
        assert!(unframed(&bytes, 1 << 20).unwrap().unwrap() == large);
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let small = proptest::collection::vec(any::<u8>(), 0..200);
        let large = (any::<u8>(), FULL - 10..FULL + 10).prop_map(|(byte, length)| vec![byte; length]);
        proptest::collection::vec(prop_oneof![9 => small, 1 => large], 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_written_is_read_however_it_arrives(messages in messages(), piece in 1_usize..4_000) {
            let bytes = framed(&messages);
            prop_assert_eq!(unframed(&bytes, piece).unwrap(), Some(messages.concat()));
        }

        #[test]
        fn any_flipped_bit_is_noticed(messages in messages(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = framed(&messages);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!matches!(unframed(&bytes, 1 << 16), Ok(Some(_))));
        }

        #[test]
        fn any_missing_end_is_noticed(messages in messages(), at in any::<prop::sample::Index>()) {
            let bytes = framed(&messages);
            let cut = unframed(&bytes[..at.index(bytes.len())], 1 << 16);
            prop_assert!(!matches!(cut, Ok(Some(_))));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..100) {
            let _ = unframed(&bytes, piece);
        }
    }
}
