//! The cache's front: which auxiliary owns a key, and how an operation gets there and back.

mod batcher;
mod front;
mod operation;
mod placement;
mod stamp;

pub use front::{Cache, Owner, Placement};
pub use operation::{Action, Answer, Failure, Operation, Outcome};
pub use placement::RingPlacement;
pub use stamp::Stamps;
