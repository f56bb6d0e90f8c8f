//! The proof of the key-value store: what concurrent clients were told, and whether any single copy of the store could
//! have told them that.
//!
//! A [`workload`] drives clients at a [`target`] (masters over HTTP, or a control store in this process) and records a
//! [`history`]. [`judge()`] is a pure function of that record, so any history on disk can be judged again:
//! - [`linearizability`]: an order of the operations exists that real time and the sequential [`model`] allow (WGL);
//! - [`provenance`]: nothing was read that nobody wrote, or whose write was refused;
//! - [`revisions`]: revisions grow in real time, and name one write each;
//! - [`watch`]: every watcher saw every change once, in order, over all its interruptions.
//!
//! What stays true: a write that nobody answered may have happened, at any time after it was sent, once; one that was
//! refused (503, 429, no connection) has not happened; whoever cannot decide in its bounds says *unknown*.

pub mod counterexample;
pub mod history;
pub mod judge;
pub mod linearizability;
pub mod model;
mod partition;
mod prepared;
pub mod provenance;
pub mod revisions;
mod sight;
pub mod target;
pub mod watch;
pub mod wgl;
pub mod workload;

pub use history::{History, Malformed};
pub use judge::{Judgement, judge};
