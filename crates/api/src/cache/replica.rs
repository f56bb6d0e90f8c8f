//! What auxiliaries tell each other: writes for the other owners, and range sync. Postcard, like the frames of masters.

use serde::{Deserialize, Serialize};

use super::{Lifetime, Packing, serialize_bytes};
use crate::BootId;

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
