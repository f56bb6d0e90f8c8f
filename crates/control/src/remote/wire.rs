//! What `remote` and `server` say to each other: postcard bodies.
//!
//! An outcome of the store, failure included, is the body of a 200: the error must arrive as it left, with its fields,
//! and a store without a leader is no fault of the node that says so.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::types::{Event, Revision};
use crate::{Error, Result};

/// Where masters mount the routes.
pub(crate) const BASE: &str = "/internal/v1/control";
pub(crate) const GET: &str = "/get";
pub(crate) const RANGE: &str = "/range";
pub(crate) const TXN: &str = "/txn";
pub(crate) const GRANT: &str = "/lease/grant";
pub(crate) const KEEP_ALIVE: &str = "/lease/keep_alive";
pub(crate) const REVOKE: &str = "/lease/revoke";
pub(crate) const WATCH: &str = "/watch";
pub(crate) const MASTERS: &str = "/masters";

pub(crate) const CONTENT_TYPE: &str = "application/octet-stream";

/// Largest request: above what any engine takes, so that it is the engine that refuses.
pub(crate) const MAX_REQUEST: usize = 8 << 20;
/// Largest frame of a watch.
const MAX_FRAME: usize = 256 << 20;
/// Bytes of the length before a frame.
const PREFIX: usize = 4;

/// A watch to be opened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WatchRequest {
    pub(crate) prefix: String,
    pub(crate) from: Revision,
}

/// A piece of a watch's answer, its length before it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// The server is alive. The first one says that the watch stands.
    Alive,
    /// Events of whole revisions.
    Events(Vec<Event>),
    /// The watch has ended.
    End(Error),
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    let bytes = postcard::to_stdvec(value).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(bytes.into())
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|error| Error::Invalid(format!("not what this version writes: {error}")))
}

pub(crate) fn encode_frame(frame: &Frame) -> Result<Bytes> {
    let body = encode(frame)?;
    let length = u32::try_from(body.len()).map_err(|error| Error::Invalid(error.to_string()))?;
    let mut bytes = BytesMut::with_capacity(PREFIX + body.len());
    bytes.put_u32_le(length);
    bytes.put(body);
    Ok(bytes.freeze())
}

/// Takes the first frame off, once all of it is there.
pub(crate) fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>> {
    let Some(prefix) = buffer.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > MAX_FRAME {
        return Err(Error::Invalid(format!("a frame of {length} bytes")));
    }
    if buffer.len() < PREFIX + length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    decode(&buffer.split_to(length)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let frames = [
            Frame::Alive,
            Frame::Events(vec![Event::Delete {
                key: "k".repeat(300),
                revision: 7,
            }]),
            Frame::End(Error::Compacted { requested: 1, oldest: 2 }),
        ];
        let whole: Vec<u8> = frames.iter().flat_map(|frame| encode_frame(frame).unwrap()).collect();
        for cut in 1..whole.len() {
            let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
            for part in whole.chunks(cut) {
                buffer.put(part);
                while let Some(frame) = take_frame(&mut buffer).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "in parts of {cut}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut garbage = BytesMut::from(&b"HTTP/1.1 502 Bad Gateway\r\n"[..]);
        assert!(take_frame(&mut garbage).is_err());
    }
}
