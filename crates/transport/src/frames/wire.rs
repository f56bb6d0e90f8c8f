//! Frames as bytes.

use std::io::IoSlice;
use std::time::Instant;

use api::{BootId, Epoch, Problem};
use bytes::{Buf, Bytes, BytesMut};
use telemetry::traces::TraceContext;

use super::Call;
use crate::RequestId;

/// Length and id and kind, which calls and answers have in common.
const PREFIX: usize = 9;
/// What counts into the length besides the payload: id and kind.
const COUNTED: usize = PREFIX - 4;
/// Epoch, boot id and length of the request id.
const CALL_FIELDS: usize = 8 + 16 + 1;
/// Length of the place in a trace, and the place.
const TRACE_BYTES: usize = 1 + TraceContext::BYTES;
/// Longest head: that of a call with the longest request id, and a place in a trace.
const LONGEST_HEAD: usize = PREFIX + CALL_FIELDS + RequestId::MAX_BYTES + TRACE_BYTES;
/// Room made for each read.
const READ_BYTES: usize = 64 << 10;

/// Kind of an answer.
pub(super) mod status {
    pub(in crate::frames) const DONE: u8 = 0;
    pub(in crate::frames) const PROBLEM: u8 = 1;
    pub(in crate::frames) const GOODBYE: u8 = 2;
}

/// For which request a call is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Caller {
    pub(super) request: Option<RequestId>,
    /// Its place in its trace.
    pub(super) trace: Option<TraceContext>,
}

/// A frame on its way out.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) id: u32,
    /// Not to be begun from then on.
    pub(super) until: Option<Instant>,
    head: [u8; LONGEST_HEAD],
    head_length: usize,
    body: Bytes,
    written: usize,
}

impl Frame {
    /// A call; none when it is longer than the length can say.
    /// `traces`: both sides know the place in a trace.
    pub(super) fn call(id: u32, call: Call, caller: &Caller, traces: bool, body: Bytes, until: Instant) -> Option<Self> {
        let request = caller.request.as_ref().map_or(&[][..], |request| request.header().as_bytes());
        let mut fields = [0; LONGEST_HEAD - PREFIX];
        fields[..8].copy_from_slice(&call.epoch.0.to_le_bytes());
        fields[8..24].copy_from_slice(&call.boot_id.to_bytes());
        // At most 128, by the bound of a request id.
        fields[24] = request.len() as u8;
        fields[CALL_FIELDS..][..request.len()].copy_from_slice(request);
        let mut length = CALL_FIELDS + request.len();
        if traces {
            if let Some(trace) = caller.trace {
                fields[length] = TraceContext::BYTES as u8;
                fields[length + 1..][..TraceContext::BYTES].copy_from_slice(&trace.to_bytes());
            }
            length += 1 + usize::from(fields[length]);
        }
        let mut frame = Self::new(id, call.kind, &fields[..length], body)?;
        frame.until = Some(until);
        Some(frame)
    }

    /// The answer to a call; none when it is longer than the length can say.
    pub(super) fn answer(id: u32, body: Bytes) -> Option<Self> {
        Self::new(id, status::DONE, &[], body)
    }

    /// The refusal of a call.
    pub(super) fn problem(id: u32, problem: &Problem) -> Self {
        let body = serde_json::to_vec(problem).unwrap_or_default();
        Self::new(id, status::PROBLEM, &[], body.into()).unwrap_or_else(|| Self::bare(id, status::PROBLEM))
    }

    /// The last frame of a server, which names the last call it read.
    pub(super) fn goodbye(last_read: u32) -> Self {
        Self::bare(last_read, status::GOODBYE)
    }

    fn bare(id: u32, kind: u8) -> Self {
        let mut frame = Self {
            id,
            until: None,
            head: [0; LONGEST_HEAD],
            head_length: PREFIX,
            body: Bytes::new(),
            written: 0,
        };
        frame.head[..4].copy_from_slice(&(COUNTED as u32).to_le_bytes());
        frame.head[4..8].copy_from_slice(&id.to_le_bytes());
        frame.head[8] = kind;
        frame
    }

    fn new(id: u32, kind: u8, fields: &[u8], body: Bytes) -> Option<Self> {
        let length = u32::try_from(COUNTED + fields.len() + body.len()).ok()?;
        let mut frame = Self::bare(id, kind);
        frame.head[..4].copy_from_slice(&length.to_le_bytes());
        frame.head[PREFIX..][..fields.len()].copy_from_slice(fields);
        frame.head_length += fields.len();
        frame.body = body;
        Some(frame)
    }

    /// Whether a byte of it has left.
    pub(super) const fn is_begun(&self) -> bool {
        self.written > 0
    }

    /// Bytes that have not left yet.
    pub(super) fn left(&self) -> usize {
        self.head_length + self.body.len() - self.written
    }

    /// Notes that so many more bytes have left.
    pub(super) const fn advance(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Lists what has not left yet.
    pub(super) fn slices<'a>(&'a self, mut add: impl FnMut(IoSlice<'a>)) {
        let head = &self.head[self.written.min(self.head_length)..self.head_length];
        let body = &self.body[self.written.saturating_sub(self.head_length)..];
        for part in [head, body] {
            if !part.is_empty() {
                add(IoSlice::new(part));
            }
        }
    }
}

/// A frame that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) id: u32,
    /// Kind of call, or status of answer.
    pub(super) kind: u8,
    /// What follows; too large to be taken otherwise.
    pub(super) payload: Result<Bytes, TooLarge>,
}

/// A frame over the bound: its bytes are passed over as they come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) bytes: usize,
}

/// Why what came in is no frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent {0}")]
pub(super) struct Garbled(&'static str);

/// Cuts what comes in into frames. One buffer grows with the largest frame; payloads are slices of it, not copies.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) buffer: BytesMut,
    largest: usize,
    /// Bytes of a frame over the bound that are still to come.
    passing_over: usize,
}

impl Incoming {
    /// Takes payloads up to `largest` bytes, of what is in `first` already and what is read into the buffer.
    pub(super) fn new(first: Bytes, largest: usize) -> Self {
        Self {
            buffer: BytesMut::from(first),
            largest: largest.saturating_add(LONGEST_HEAD - PREFIX),
            passing_over: 0,
        }
    }

    /// The next frame that is here whole; when there is none, the buffer has room for more of it.
    pub(super) fn next(&mut self) -> Result<Option<Arrived>, Garbled> {
        let over = self.passing_over.min(self.buffer.len());
        self.buffer.advance(over);
        self.passing_over -= over;
        let Some((prefix, _)) = self.buffer.split_first_chunk::<PREFIX>() else {
            self.buffer.reserve(READ_BYTES);
            return Ok(None);
        };
        let length = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
        let id = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
        let kind = prefix[8];
        let Some(bytes) = length.checked_sub(COUNTED) else {
            return Err(Garbled("a frame shorter than its head"));
        };
        if bytes > self.largest {
            self.buffer.advance(PREFIX);
            self.passing_over = bytes;
            let payload = Err(TooLarge { bytes });
            return Ok(Some(Arrived { id, kind, payload }));
        }
        let missing = (PREFIX + bytes).saturating_sub(self.buffer.len());
        if missing > 0 {
            self.buffer.reserve(missing.max(READ_BYTES));
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let payload = Ok(self.buffer.split_to(bytes).freeze());
        Ok(Some(Arrived { id, kind, payload }))
    }
}

/// Takes the payload of a call apart; see [`Frame::call`].
pub(super) fn open_call(kind: u8, mut payload: Bytes, traces: bool) -> Result<(Call, Caller, Bytes), Garbled> {
    if payload.len() < CALL_FIELDS {
        return Err(Garbled("a call shorter than its head"));
    }
    let epoch = Epoch(payload.get_u64_le());
    let mut boot = [0; 16];
    payload.copy_to_slice(&mut boot);
    let request_length = usize::from(payload.get_u8());
    if payload.len() < request_length {
        return Err(Garbled("a call whose request id is cut off"));
    }
    let request = (request_length > 0).then(|| RequestId::from_bytes(&payload[..request_length]));
    payload.advance(request_length);
    let mut trace = None;
    if traces {
        let length = usize::from(
            payload
                .try_get_u8()
                .map_err(|_| Garbled("a call without the length of its trace"))?,
        );
        if payload.len() < length {
            return Err(Garbled("a call whose place in a trace is cut off"));
        }
        // One of another length is of a version to come.
        trace = TraceContext::from_bytes(&payload[..length]);
        payload.advance(length);
    }
    let boot_id = BootId::from_bytes(boot);
    Ok((Call { kind, epoch, boot_id }, Caller { request, trace }, payload))
}
