//! The auxiliary: storage node of the cluster — cache entries in memory, blobs on disk.
//!
//! `http/` knows requests, `app/` knows what to do, `background/` keeps things as they should be, [`start`] puts them
//! together. Many auxiliaries may live in one process.

mod app;
mod background;
mod error;
mod handle;
mod http;
mod metrics;
mod settings;
mod start;

pub use cluster::ControlEngine;
pub use error::Error;
pub use handle::Handle;
pub use settings::Settings;
pub use start::{start, start_with};
