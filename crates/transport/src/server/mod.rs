//! The server every node runs: listener, connection loop, and the layers around the handlers.

mod answering;
mod bind;
mod connections;
mod descriptors;
mod gate;
mod kept;
mod layers;
mod metered;
mod metrics;
mod operations;
mod routes;
mod serve;
mod traced;

pub use bind::{BindError, bind};
pub use connections::ConnectionBounds;
pub(crate) use connections::ConnectionSlot;
pub use gate::{Admission, Escort, Gate, PeerAddress};
pub use kept::keep;
pub use layers::{Layers, is_token};
pub(crate) use metered::Metered;
pub use metrics::HttpMetrics;
pub use operations::{Readiness, operations};
pub use routes::Routes;
pub use serve::{Listener, serve, serve_within};
