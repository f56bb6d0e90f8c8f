//! The cache: public JSON forms, and the frame in which masters and auxiliaries exchange batches.
//!
//! A frame is postcard; keys and values are borrowed from the received buffer, so decoding copies nothing.

mod replica;
mod status;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::ErrorCode;

pub use replica::{
    ReplicaAnswer, ReplicaFrame, ReplicaItem, ReplicaState, SYNC_BUCKETS, SyncDigests, SyncDigestsRequest, SyncPage,
    SyncPageRequest,
};
pub use status::{MasterStatus, NamespaceQuota, NodeStatus, Restored, SyncProgress};

/// Media type of [`BatchFrame`] and [`ReplyFrame`].
pub const FRAME_CONTENT_TYPE: &str = "application/x-elasticore-cache";

/// Largest frame an auxiliary takes or sends, unless a single value is larger. What would not fit in a reply is answered
/// with `conflict`, which means: send it again.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// How the bytes of a value are stored. Owners do not care; masters pack and unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Packing {
    /// As the client sent them.
    #[default]
    Plain,
    /// LZ4 block, behind the length of what it unpacks to (u32, little endian).
    Lz4,
}

/// How long an entry lives, in Unix milliseconds; 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Lifetime {
    /// From then on it is stale: it is still served, while one caller is told to renew it.
    pub fresh_until_ms: u64,
    /// From then on it is gone. Never before it is stale.
    pub expires_at_ms: u64,
}

/// What a batched operation does (internal frame).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameOp<'a> {
    /// Read.
    Get,
    /// Read; when there is nothing, or nothing fresh, become the one who loads it, unless somebody else is already.
    Load {
        /// How long others wait for this loader, in milliseconds.
        patience_ms: u32,
    },
    /// Write.
    Put {
        /// The value.
        #[serde(borrow, serialize_with = "serialize_bytes")]
        value: &'a [u8],
        /// `Content-Type` to give back, empty when none was sent.
        content_type: &'a str,
        /// How the value is packed.
        packing: Packing,
        /// How long it lives.
        lifetime: Lifetime,
        /// Stamp of the write (hybrid logical clock), given once by the master.
        version: u64,
        /// What must hold for it to be applied.
        condition: Condition,
    },
    /// Give what is there another life time.
    Touch {
        /// How long it lives from now on.
        lifetime: Lifetime,
        /// Stamp of the write.
        version: u64,
        /// What must hold for it to be applied.
        condition: Condition,
    },
    /// Remove.
    Delete {
        /// Stamp of the delete.
        version: u64,
        /// What must hold for it to be applied.
        condition: Condition,
    },
    /// Add to an integer.
    Incr {
        /// How much, may be negative.
        by: i64,
        /// Stamp of the write.
        version: u64,
    },
}

/// Precondition of a write, checked under the key's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Always.
    None,
    /// `If-None-Match: *`: the key must not exist.
    Absent,
    /// `If-Match: *`: the key must exist.
    Present,
    /// `If-Match: "version"`.
    Version(u64),
}

/// One operation of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameItem<'a> {
    /// Namespace; empty is the default one.
    #[serde(borrow)]
    pub namespace: &'a str,
    /// The key.
    pub key: &'a str,
    /// What to do.
    pub op: FrameOp<'a>,
    /// Whether it may have been carried out before, under the same stamp: it is answered as the first time then. Else a stamp
    /// that is held is another master's.
    pub again: bool,
}

/// Operations that travel together to one auxiliary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchFrame<'a> {
    /// In the order in which they must be applied.
    #[serde(borrow)]
    pub items: Vec<FrameItem<'a>>,
}

/// Outcome of one operation (internal frame).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameReply<'a> {
    /// The key holds this.
    Hit {
        /// The value.
        #[serde(borrow, serialize_with = "serialize_bytes")]
        value: &'a [u8],
        /// Its `Content-Type`, empty when none was sent.
        content_type: &'a str,
        /// How the value is packed.
        packing: Packing,
        /// Its version.
        version: u64,
        /// How long it lives.
        lifetime: Lifetime,
        /// The caller is the one who loads it anew, because it is stale.
        load: bool,
    },
    /// The key holds nothing.
    Miss {
        /// The caller is the one who loads it.
        load: bool,
    },
    /// The key holds nothing, and somebody else loads it.
    Loading,
    /// Written; `created` when the key held nothing before.
    Stored {
        /// Version now held.
        version: u64,
        /// Whether the key was new.
        created: bool,
    },
    /// Removed; `existed` when it held something.
    Deleted {
        /// Whether there was something to remove.
        existed: bool,
    },
    /// Result of an increment.
    Counter {
        /// The new value.
        value: i64,
        /// Version now held.
        version: u64,
    },
    /// The condition did not hold; the version that is there, 0 when none.
    PreconditionFailed {
        /// Version now held, 0 when the key is absent.
        version: u64,
    },
    /// A newer version is there: stamp again and resend.
    Stale {
        /// Version now held.
        version: u64,
    },
    /// Not done.
    Failed {
        /// Why, for machines.
        code: ErrorCode,
        /// Why, for people.
        detail: &'a str,
    },
}

/// Replies in the order of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyFrame<'a> {
    /// One per item.
    #[serde(borrow)]
    pub replies: Vec<FrameReply<'a>>,
}

/// Writes bytes as one piece; serde would write a slice byte by byte. The form on the wire is the same.
fn serialize_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// How the `value` member of [`Entry`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Base64, because the bytes are not UTF-8.
    Base64,
}

/// An entry as the `?key=` form and `_batch` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value as text, or base64 when `encoding` says so. Absent on writes and deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Present when `value` is not plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Version (also the `ETag`).
    pub version: u64,
    /// Seconds left until it is stale or gone, or null.
    pub ttl: Option<u64>,
    /// The auxiliary that holds it.
    pub node: String,
}
