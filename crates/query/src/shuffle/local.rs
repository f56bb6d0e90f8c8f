//! Reading a shuffle file of this worker: in large pieces that end where frames end, so that a frame is a part of one piece and
//! is not copied again.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::frame::{HEADER, length_of};
use super::source::ByteStream;

/// Bytes read from a file at a time, and as many more as its last frame needs.
const PIECE: usize = 1 << 20;

/// The bytes of a file.
pub(super) fn read(file: File) -> ByteStream {
    stream::try_unfold(file, |file| async {
        let read = tokio::task::spawn_blocking(move || piece(file)).await;
        read.map_err(io::Error::other)?
    })
    .boxed()
}

fn piece(mut file: File) -> io::Result<Option<(Bytes, File)>> {
    let mut bytes = Vec::with_capacity(PIECE);
    read_up_to(&mut file, &mut bytes, PIECE)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let missing = beyond_the_end(&bytes);
    read_up_to(&mut file, &mut bytes, missing)?;
    Ok(Some((bytes.into(), file)))
}

fn read_up_to(file: &mut File, bytes: &mut Vec<u8>, more: usize) -> io::Result<()> {
    bytes.reserve_exact(more);
    file.by_ref().take(more as u64).read_to_end(bytes).map(drop)
}

/// How many bytes the last frame lacks. Where the headers make no sense, none: whoever takes the frames apart will say so.
fn beyond_the_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let Some(header) = bytes[at..].first_chunk::<HEADER>() else {
            return HEADER - (bytes.len() - at);
        };
        let Some(length) = length_of(header) else { return 0 };
        at += HEADER + length;
    }
    at - bytes.len()
}
