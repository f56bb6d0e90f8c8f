//! The cache: public JSON forms, and the frame in which masters and auxiliaries exchange batches.
//!
//! A frame is postcard; keys and values are borrowed from the received buffer, so decoding copies nothing.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::{BootId, Epoch, ErrorCode, NodeId};

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

/// What a replica, a new owner or a backup is given: a key's state as its primary has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaItem<'a> {
    /// Namespace; empty is the default one.
    #[serde(borrow)]
    pub namespace: &'a str,
    /// The key.
    pub key: &'a str,
    /// Its version.
    pub version: u64,
    /// What it holds.
    pub state: ReplicaState<'a>,
}

/// State of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaState<'a> {
    /// A value.
    Live {
        /// The value.
        #[serde(borrow, serialize_with = "serialize_bytes")]
        value: &'a [u8],
        /// Its `Content-Type`.
        content_type: &'a str,
        /// How the value is packed.
        packing: Packing,
        /// How long it lives.
        lifetime: Lifetime,
        /// Whether the write of this version found the key empty.
        created: bool,
    },
    /// Nothing: it was deleted.
    Deleted {
        /// When, in Unix milliseconds.
        at_ms: u64,
        /// Whether the delete of this version found something.
        existed: bool,
    },
    /// Nothing any more: the primary dropped this version to stay within its bounds.
    Evicted,
}

/// From a primary to another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaFrame<'a> {
    /// The life that sends it, and a number that grows with each of its frames. One that arrives after a later one is
    /// refused: what the later one brought may have expired since, and would not keep the earlier one out. Without it, the
    /// order does not matter.
    pub order: Option<(BootId, u64)>,
    /// In the order in which the primary applied them.
    #[serde(borrow)]
    pub items: Vec<ReplicaItem<'a>>,
}

/// Answer to a [`ReplicaFrame`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaAnswer {
    /// Items (by place in the frame) that were older than what is held, with the version held.
    pub newer: Vec<(u32, u64)>,
}

/// Parts into which range sync divides the keys, by the first bits of their places on the ring.
pub const SYNC_BUCKETS: usize = 1024;

/// Asks for digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncDigestsRequest {
    /// The life that asks.
    pub caller: BootId,
}

/// Answer to a request for digests: one per bucket, over the keys that concern the two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncDigests {
    /// [`SYNC_BUCKETS`] of them.
    pub buckets: Vec<u64>,
}

/// Asks for what differs in one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPageRequest {
    /// The life that asks.
    pub caller: BootId,
    /// Which.
    pub bucket: u16,
    /// Only what lies behind this place on the ring: the page before ended there.
    pub after: Option<u64>,
    /// What the asking node holds of it: places of the keys on the ring, and versions.
    pub have: Vec<(u64, u64)>,
}

/// Answer to a [`SyncPageRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPage<'a> {
    /// What the asking node lacks, or has in another version.
    #[serde(borrow)]
    pub items: Vec<ReplicaItem<'a>>,
    /// What it has and this node does not (places of keys).
    pub surplus: Vec<u64>,
    /// There is more behind the last item.
    pub more: bool,
}

/// How much a namespace may take, over the whole cluster, copies not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceQuota {
    /// Entries; no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u64>,
    /// Bytes with keys and bookkeeping; no bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// What an auxiliary says of itself to the leader and to masters (`GET /internal/v1/cache/status`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// Its life.
    pub boot_id: BootId,
    /// The epoch it serves.
    pub epoch: Epoch,
    /// Whether it holds all it must hold at that epoch.
    pub synced: bool,
    /// Entries held.
    pub entries: u64,
    /// Memory they take, bookkeeping included.
    pub bytes: u64,
    /// Progress of the last range sync, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncProgress>,
    /// What it began with, if it found a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The newest backup it made or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_ms: Option<u64>,
    /// Auxiliaries it cannot reach.
    pub unreachable: Vec<NodeId>,
}

/// What a master says of itself to the leader (`GET /internal/v1/cluster/status`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct MasterStatus {
    /// The epoch it routes by.
    pub epoch: Epoch,
    /// Auxiliaries it cannot reach.
    pub unreachable: Vec<NodeId>,
}

/// How far a range sync has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SyncProgress {
    /// Epoch it works for.
    pub epoch: Epoch,
    /// Buckets compared and made equal.
    pub buckets_done: u64,
    /// Buckets there are, over all sources.
    pub buckets: u64,
    /// Entries that were fetched.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries that were dropped because the source does not have them.
    pub dropped: u64,
    /// When it began, in Unix milliseconds.
    pub started_at_ms: u64,
    /// When it ended, in Unix milliseconds; absent while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

/// What a node began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// The backup.
    pub backup: String,
    /// When it was made, in Unix milliseconds.
    pub made_at_ms: u64,
    /// How old it was when it was loaded, in seconds: what may be lost when no other copy lived.
    pub age_seconds: u64,
    /// Entries loaded.
    pub entries: u64,
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
