//! The ring: who should be in it, who writes it, and how requests find their owners.

mod keeper;
mod routing;
mod wanted;

pub use keeper::Keeper;
pub use routing::{Owner, Routing};
pub use wanted::Policy;

pub(crate) use routing::build;
