//! Calls between peers as frames on one connection: HTTP for each call costs more than the work in it.
//!
//! A connection begins as `POST /internal/v1/frames` with `Upgrade: elasticore-frames/1`, under the cluster token like every
//! other call of a peer, and then carries length-prefixed frames ([`wire`](self) below). Many calls are under way at once and
//! are answered in any order.
//!
//! A caller may say what time it has when it asks for the connection (`x-time-ms`); a server that does not know the header ignores it.
//!
//! What a caller may rely on, since writes depend on it:
//! - [`PeerError::Unreachable`](crate::peer::PeerError::Unreachable): certainly not executed. No connection, or the frame was
//!   not written whole and never will be, or the peer said that it stopped reading before it (as `GOAWAY` of HTTP/2, RFC 9113
//!   §6.8, does).
//! - [`PeerError::NoAnswer`](crate::peer::PeerError::NoAnswer): the frame left whole and its answer did not come; outcome
//!   unknown.
//! - No call outlives its deadline, whatever the peer does.
//!
//! | part | bytes of a call | bytes of an answer |
//! |---|---|---|
//! | length of what follows, little-endian as all numbers | 4 | 4 |
//! | id; grows by one with each call of the connection, wraps | 4 | 4 |
//! | kind of call, status of answer | 1 | 1 |
//! | epoch of the ring | 8 | |
//! | boot id of the life that is meant | 16 | |
//! | length of the request id, 0 for none; the request id | 1 + n | |
//! | where both sides offered it: length of the place in a trace, 0 for none; the place | 1 + n | |
//! | body | rest | rest |
//!
//! Each side says when the connection begins which fields it knows besides the first ones (`X-Frame-Fields: trace`). What one of them does
//! not know is not sent, so that nodes of different versions understand each other.
//!
//! Status 0 is success; 1 a [`Problem`](api::Problem) in JSON; 2 the goodbye of a server, its id that of the last call it read.

mod client;
mod connect;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod link;
mod metrics;
mod outbox;
mod route;
mod serving;
mod wire;

use api::{BootId, Epoch};

pub use client::FrameClient;
pub use metrics::FrameMetrics;
pub use route::{FrameHandler, frames_route};

/// Where frames of data nodes are spoken.
pub const PATH: &str = "/internal/v1/frames";
/// Name of the protocol in `Upgrade`.
pub(crate) const PROTOCOL: &str = "elasticore-frames/1";
/// Name, in `X-Frame-Fields`, of the place in a trace.
pub(crate) const TRACE_FIELD: &str = "trace";
/// Calls under way on one connection; more are refused, not executed.
pub const MAX_CALLS: usize = 1024;

/// What a call is about; travels in the head of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is asked; a number that caller and handler agree on.
    pub kind: u8,
    /// Epoch of the ring the caller goes by.
    pub epoch: Epoch,
    /// The life of the peer the caller means.
    pub boot_id: BootId,
}
