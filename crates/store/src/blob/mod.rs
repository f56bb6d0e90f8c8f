//! The disk tier: immutable, named blobs, one file each.
//!
//! What stays true:
//! - a blob is visible only when whole and durable: it is written beside its place, synced, linked into it, and the
//!   directory is synced, before [`BlobStore::put`] returns;
//! - a blob never changes: another content under the same name is refused;
//! - every read is verified before it is handed out, block by block, so that a damaged block is an error, not an answer;
//! - no blob is ever in memory whole: writers and readers hold one block;
//! - what all blobs take stays within a bound, and some of the disk stays free ([`Limits`]): a write that would break either
//!   is refused, and leaves nothing.

mod error;
mod format;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod index;
mod name;
mod reader;
mod space;
mod store;
mod writer;

pub use error::Error;
pub use name::{BlobName, MAX_NAME_BYTES};
pub use reader::BlobReader;
pub use space::Limits;
pub use store::{BlobInfo, BlobStore, Listed};
