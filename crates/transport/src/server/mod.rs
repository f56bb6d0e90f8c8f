//! The server every node runs: listener, connection loop, and the layers around the handlers.

mod answering;
mod bind;
mod gate;
mod layers;
mod metrics;
mod operations;
mod routes;
mod serve;

pub use bind::{BindError, bind};
pub use gate::{Admission, Escort, Gate, PeerAddress};
pub use layers::{Layers, is_token};
pub use metrics::HttpMetrics;
pub use operations::{Readiness, operations};
pub use routes::Routes;
pub(crate) use serve::ConnectionSlot;
pub use serve::serve;
