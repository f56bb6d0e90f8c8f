//! The worker: plans queries and runs their tasks.
//!
//! ```text
//!   leader ◄── poll (also the heartbeat) ── background/poll ──► app: plan | run ──► query::Engine on its own threads
//!      ▲                                                              │
//!      └──────────── report, until durable ◄──────────────────────────┤
//!   other workers ◄── http/shuffle ◄── shuffle files ◄────────────────┤
//!   auxiliaries ◄──── large results ◄─────────────────────────────────┘
//! ```
//!
//! Queries compute on a runtime of their own, so that however busy the slots are, polls, reports and shuffle reads go on: a busy
//! worker must not look dead. Many workers may live in one process.

mod app;
mod background;
mod error;
mod handle;
mod http;
mod memory;
mod metrics;
mod settings;
mod start;
#[cfg(test)]
mod tests;

pub use cluster::ControlEngine;
pub use error::Error;
pub use handle::Handle;
pub use settings::Settings;
pub use start::{start, start_with};
