//! What an auxiliary keeps: the memory tier ([`cache`]) and the disk tier ([`blob`]).
//!
//! Nothing here knows peers, HTTP or wire types. The clock is a seam: every call that depends on time is given
//! `now_ms` (Unix milliseconds), so that expiry is tested without waiting.

pub mod blob;
pub mod cache;
