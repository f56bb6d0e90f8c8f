//! The memory tier: sharded LRU maps with time to live, bounded in entries and in bytes.
//!
//! What stays true:
//! - an operation on a key is atomic: it holds the lock of the key's shard from its condition to its effect;
//! - after any call the cache is within both bounds, but for writes under way at that instant;
//! - a version never goes back: a write older than what is held is refused ([`Refusal::Stale`]); the same value written
//!   again under the same stamp is a repetition and answered as the first time; another write under a stamp that is held
//!   comes from another writer's clock and is refused as stale;
//! - an expired entry is never returned, swept or not;
//! - stored bytes are copies, so an entry never pins the network buffer it came in.
//!
//! Eviction is least recently used. Other policies come behind a trait of their own; its place is the call to
//! `pop_oldest` in [`Cache`], the only line that chooses a victim.

mod entry;
mod key;
mod shard;
mod stats;
mod table;
mod write;

pub use entry::{Hit, MAX_CONTENT_TYPE_BYTES};
pub use key::Key;
pub use stats::Stats;
pub use table::{Bounds, Cache};
pub use write::{Condition, Counter, Deleted, Put, Refusal, Stored};
