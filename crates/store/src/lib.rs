//! What an auxiliary keeps: the memory tier ([`cache`]) with its backups ([`backup`]), and the disk tier ([`blob`]).
//!
//! Nothing here knows peers or HTTP; of the wire types it takes and gives those that say what a key holds. The clock is a
//! seam: every call that depends on time is given `now_ms` (Unix milliseconds), so that expiry is tested without waiting.

pub mod backup;
pub mod blob;
pub mod cache;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
