//! The memory tier of a replicated cache: sharded maps with time to live and tombstones, bounded in entries and in bytes.
//!
//! What stays true:
//! - an operation on a key is atomic: it holds the lock of the key's shard from its condition to its effect;
//! - after any call the cache is within its bounds, but for writes under way at that instant;
//! - a version never goes back, as long as what has it is held, be it a tombstone or expired: a write older than that is
//!   refused ([`Refusal::Stale`]);
//! - a stamp that is held is taken for another write's, whose writer's clock gave the same one, and refused as stale; only
//!   who says that it may be a repetition ([`Cache::put_again`], [`Cache::delete_again`]) is answered as the first time;
//! - a state from another node replaces an older one only, unless that is the one the other node was asked to repair;
//! - an expired entry is never returned, swept or not;
//! - stored bytes are copies, so an entry never pins the network buffer it came in;
//! - no lock is held longer than a few hundred microseconds, however much is held.
//!
//! Who calls: `operations` the primary of a key, `replicate` its other owners, `sync` range sync, `walk` ring changes,
//! backups and prefix deletes, `sweep` a background task.

mod bounds;
mod changes;
mod cost;
mod entry;
mod eviction;
mod keep;
mod key;
mod memory;
mod namespaces;
mod operations;
mod record;
mod replicate;
mod shard;
mod stats;
mod sweep;
mod sync;
mod table;
mod tally;
mod tombstones;
mod walk;
mod write;

pub use changes::{Change, ChangeKind};
pub use entry::{Hit, MAX_CONTENT_TYPE_BYTES};
pub use eviction::{Policy, UnknownPolicy};
pub use keep::Keep;
pub use key::Key;
pub use namespaces::{NamespaceStats, QuotaBounds};
pub use record::{Record, RecordState, Role};
pub use replicate::Applied;
pub use stats::Stats;
pub use sync::{Page, bucket_of};
pub use table::{Bounds, Cache};
pub use tombstones::TOMBSTONE_TTL_MS;
pub use walk::{Cursor, Keys};
pub use write::{Condition, Counter, Deleted, Put, Refusal, Stored, Touch};
