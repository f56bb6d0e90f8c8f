//! The distributed cache: what masters and auxiliaries do so that an acknowledged entry survives the loss of any one node.
//!
//! ```text
//!   master                          auxiliary (primary of the key)            auxiliary (another owner)
//!   ──────                          ──────────────────────────────            ─────────────────────────
//!   front: stamp, route, batch ──►  owner: apply under the key's lock ──────► owner: apply what is newer
//!          retry, fail over         replicate, wait for all, answer           │
//!                                   owner: answer range sync   ◄───────────── sync: fetch what is missing
//! ```
//!
//! What stays true:
//! - a write is stamped once; owners apply only what is newer, so that repeating it changes nothing;
//! - every call carries the epoch of the ring and the life of the node it is meant for, and is refused when either is
//!   another one: nobody reads or writes by a ring that is over;
//! - a write is acknowledged when everybody has it who may be read from in this epoch or the next ([`cluster::Plan`]);
//! - what a primary applied is delivered to the other owners, or the epoch ends and range sync compares them;
//! - no two clocks have to agree: what is left of a life time is what travels ([`Skew`]), and a version from a clock that is ahead is
//!   topped for its key alone.

mod batching;
mod clock;
pub mod events;
pub mod front;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod net;
pub mod owner;
mod seam;
mod skew;
pub mod sync;

pub use clock::{Clock, now_ms, wall_ms};
pub use seam::{CallError, Kind, Peers, Rings};
pub use skew::Skew;
