//! Named background tasks: supervised while the node runs, drained when it stops.
//!
//! A node owns one [`Tasks`]. Everything it runs in the background is spawned there under a name an operator can read in
//! `GET /nodes`; a task that panics is logged and restarted with backoff; a stop cancels all and waits to a deadline.

mod signal;
mod tasks;

pub use signal::{Interrupt, interrupted};
pub use tasks::{TaskStatus, Tasks};
pub use tokio_util::sync::CancellationToken;
