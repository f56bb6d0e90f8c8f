//! The server every node runs: listener, connection loop, and the layers around the handlers.

mod bind;
mod layers;
mod operations;
mod serve;

pub use bind::{BindError, bind};
pub use layers::{HttpMetrics, Layers, is_token};
pub use operations::{Readiness, operations};
pub use serve::serve;
