//! The master: front door of the cluster, and its scheduler while it holds the leader's lease.
//!
//! `http/` knows requests, `app/` knows what to do, `background/` keeps things as they should be, [`start`] puts them
//! together. Many masters may live in one process.

pub mod app;
mod background;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod http;
mod settings;
mod start;

pub use cluster::ControlEngine;
pub use handle::Handle;
pub use settings::{Auth, Settings};
pub use start::start;
