//! The way to the other masters: the seam at which a simulation takes the place of sockets, and what stands on either side
//! of it. Everything that passes is a message of ours; no type of openraft does.

mod client;
mod http;
mod link;
pub(crate) mod message;
mod none;
mod protocol;
mod stream;

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub(crate) use client::{CallError, Client};
pub(crate) use http::HttpNetwork;
pub(crate) use link::Links;
pub(crate) use message::{Answer, Request};
#[cfg(feature = "fuzzing")]
pub(crate) use message::{Call, decode_answer, decode_request};
pub(crate) use none::NoNetwork;
pub(crate) use stream::{chunks, read_head, write_head};

/// Where masters mount the routes of [`RaftNode::router`](super::RaftNode::router).
pub const BASE: &str = "/internal/v1/raft";
/// Where frames are spoken, below [`BASE`].
pub(crate) const FRAMES: &str = "/frames";
/// The same in full.
const FRAMES_PATH: &str = "/internal/v1/raft/frames";

/// A snapshot as it is sent.
pub(crate) type Body = BoxStream<'static, io::Result<Bytes>>;

/// A network between masters.
#[async_trait]
pub(crate) trait Network: Send + Sync + Debug + 'static {
    /// Asks the master at an address, and waits for its answer.
    async fn call(&self, address: &str, request: Request, deadline: Duration) -> Result<Answer, NetworkError>;

    /// The same, with a snapshot behind the request.
    async fn send(&self, address: &str, request: Request, body: Body, deadline: Duration) -> Result<Answer, NetworkError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkError {
    /// The request was certainly not received.
    #[error("{0}")]
    NotSent(String),
    /// It may have been.
    #[error("{0}")]
    Unknown(String),
}
