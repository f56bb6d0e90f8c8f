//! Wire types: what clients and nodes say to each other, and nothing that says it.
//!
//! Every type here crosses a process boundary, so a change is a change of protocol. Parsing happens on construction
//! ([`Key::try_new`], [`NodeId::try_new`]): code behind the edge never sees an invalid value.

pub mod auth;
pub mod batch;
pub mod cache;
pub mod dataset;
pub mod error;
pub mod headers;
pub mod id;
pub mod job;
pub mod job_tasks;
pub mod key;
pub mod member;
pub mod operations;
pub mod raft;
pub mod task;

pub use error::{ErrorCode, Problem};
pub use id::{BootId, Epoch, JobId, NodeId};
pub use key::Key;
