//! The readers of what peers send, for fuzzers: each takes any bytes, and asserts what must stay true of them.

use axum::http::HeaderValue;
use telemetry::traces::TraceContext;

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

/// Any bytes as the `traceparent` of a request: what is taken over is written as it was read, but for versions and flags to come.
pub fn traceparent(bytes: &[u8]) {
    let Some(context) = TraceContext::parse(bytes) else { return };
    let written = context.to_text();
    assert_eq!(written[2..52], bytes[2..52], "{context}");
    assert_eq!(TraceContext::parse(&written), Some(context));
    assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Some(context));
}
