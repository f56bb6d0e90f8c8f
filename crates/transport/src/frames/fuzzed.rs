//! Any bytes as frames, for [`crate::fuzzing`].

use bytes::Bytes;

use super::wire::{Arrived, Frame, Incoming, open_call};

/// Largest frame that is taken: small, so that larger ones are tried too.
const LARGEST: usize = 512;

/// Cut anywhere, bytes are the same frames, and what opens as a call is written as the same bytes.
pub(crate) fn frames(bytes: &[u8]) {
    let (cut, bytes) = bytes
        .split_first()
        .map_or((1, bytes), |(cut, rest)| (usize::from(*cut).max(1), rest));
    let whole = arrived(bytes, bytes.len().max(1));
    assert_eq!(arrived(bytes, cut), whole, "in pieces of {cut}");
    for frame in whole.iter().flatten() {
        again(frame, false);
        again(frame, true);
    }
}

/// A call, written as it was read, is the same call.
fn again(frame: &Arrived, traces: bool) {
    let Ok(payload) = &frame.payload else { return };
    let Ok((call, caller, body)) = open_call(frame.kind, payload.clone(), traces) else {
        return;
    };
    let sent = Frame::call(frame.id, call, &caller, traces, body.clone(), std::time::Instant::now());
    let mut again = Vec::new();
    if let Some(sent) = sent {
        sent.slices(|part| again.extend_from_slice(&part));
    }
    let reread = arrived(&again, again.len().max(1));
    let Some(
        [
            Arrived {
                payload: Ok(payload), ..
            },
        ],
    ) = reread.as_deref()
    else {
        return;
    };
    let reopened = open_call(frame.kind, payload.clone(), traces).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reopened, (call, caller, body));
}

/// The frames, as long as they are; none when they are garbled.
fn arrived(bytes: &[u8], cut: usize) -> Option<Vec<Arrived>> {
    let mut incoming = Incoming::new(Bytes::new(), LARGEST);
    let mut all = Vec::new();
    for piece in bytes.chunks(cut) {
        incoming.buffer.extend_from_slice(piece);
        while let Some(frame) = incoming.next().ok()? {
            all.push(frame);
        }
    }
    Some(all)
}
