//! How nodes and clients talk: the HTTP server every node runs, the one client peers are called with, and the one shape
//! of errors between them.

pub mod callers;
mod connection;
mod current;
mod error;
mod extract;
pub mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod peer;
mod request_id;
pub mod server;
mod streamed;
mod traced;
pub mod traces;
mod upload;

pub use error::ApiError;
pub use extract::{ApiJson, ApiPath, ApiQuery, read_body};
pub use request_id::RequestId;
pub use streamed::streamed;
pub use traced::Traced;
pub use upload::{client_upload, leave_unread, upload};
