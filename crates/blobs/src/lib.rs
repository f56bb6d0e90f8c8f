//! Blobs as the whole cluster keeps them: immutable, named, of any size, never in memory whole.
//!
//! ```text
//!   workers (results, datasets) ─┐                 ┌─► Replicated ──► auxiliaries of the ring, R copies, checksums
//!   masters (uploads, reads)  ───┼──► BlobStore ───┤
//!   DataFusion (blob:///name) ───┘                 └─► Objects ─────► any S3-compatible store
//! ```
//!
//! What stays true of every engine, and one suite says so of both (`conformance`):
//! - a blob is visible only when it is whole and durable;
//! - a blob never changes: the same content may be written again, another one is a conflict;
//! - a read gives what was written or an error, and goes on elsewhere when a holder fails half-way.

mod adapter;
#[cfg(feature = "conformance")]
pub mod conformance;
mod content;
mod error;
pub mod holder;
mod name;
mod objects;
mod reading;
mod replicated;
mod settings;
mod store;

pub use adapter::as_object_store;
pub use content::Content;
pub use error::{Error, Result};
pub use name::{MAX_NAME_BYTES, check_name};
pub use objects::Objects;
pub use replicated::Replicated;
pub use settings::{BlobSettings, open};
pub use store::{BlobInfo, BlobStore, ByteStream};

/// Namespace under which the ring places blobs.
pub const NAMESPACE: &str = "_blobs";
