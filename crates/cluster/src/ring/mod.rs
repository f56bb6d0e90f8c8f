//! The ring: how it changes, who writes it, and how requests find their owners.

pub mod change;
mod figures;
mod keeper;
mod nodes;
mod placement;
mod prober;
mod records;
mod routing;

pub use keeper::Keeper;
pub use nodes::{NodeIndex, Nodes};
pub use routing::{Duty, Owner, Plan, Routing, Source};
