//! The readers of what peers send, for fuzzers: each takes any bytes, and asserts what must stay true of them.

use axum::http::HeaderValue;

use crate::RequestId;
use crate::frames::fuzzed;

/// Any bytes as the frames of a connection.
pub fn frames(bytes: &[u8]) {
    fuzzed::frames(bytes);
}

/// Any bytes as the `X-Request-Id` of a request: what is taken over is printable and short.
pub fn request_id(bytes: &[u8]) {
    let id = RequestId::accept(HeaderValue::from_bytes(bytes).ok().as_ref()).to_string();
    assert!(
        (1..=RequestId::MAX_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
        "{id:?}"
    );
}
