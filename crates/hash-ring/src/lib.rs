//! Consistent hashing: which nodes own a key.
//!
//! Pure: no I/O, no clock, no randomness. Every process that builds a [`Ring`] from the same members gets the same
//! ring, on every platform and in every version: the hash is xxh3-64 and golden vectors freeze it, because a change
//! would silently move every key of a running cluster.
//!
//! What holds (and is property-tested): adding a node takes about 1/(N+1) of the keys and moves nothing between the
//! others; removing one moves only its keys; the order in which members are given does not matter.
//!
//! Karger et al., *Consistent Hashing and Random Trees* (STOC 1997); virtual nodes as in Dynamo (SOSP 2007, §4.2).

mod hash;
mod owners;
mod ring;

pub use hash::hash_key;
pub use owners::{MAX_OWNERS, Owners};
pub use ring::{Member, Ring};
