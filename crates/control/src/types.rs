//! The vocabulary of the store: etcd's, in our types.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Version of the whole store; grows by one with every transaction that changes something.
pub type Revision = u64;

/// Identity of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseId(pub i64);

/// A granted lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its identity.
    pub id: LeaseId,
    /// Time it lives without a keep-alive; the store may grant more than was asked for.
    pub ttl: Duration,
}

/// A key as it stands at some revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// Revision that created it (again, after a delete).
    pub create_revision: Revision,
    /// Revision that wrote it last.
    pub mod_revision: Revision,
    /// Writes since its creation, 1-based.
    pub version: u64,
    /// The lease it vanishes with.
    pub lease: Option<LeaseId>,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Consistency {
    /// Sees every write acknowledged before it began.
    #[default]
    Linearizable,
    /// What this node knows; may be old.
    Stale,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    /// The key exists.
    Exists(String),
    /// The key does not exist.
    Absent(String),
    /// It was created at this revision.
    CreateRevision(String, Revision),
    /// It was last written at this revision.
    ModRevision(String, Revision),
    /// It holds this value.
    Value(String, Bytes),
}

/// A step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Write a key, bound to a lease or to none. A transaction writes a key at most once.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Bytes,
        /// The lease it vanishes with.
        lease: Option<LeaseId>,
    },
    /// Remove a key, if it is there.
    Delete {
        /// The key.
        key: String,
    },
    /// Remove every key with this prefix.
    DeletePrefix {
        /// The prefix.
        prefix: String,
    },
    /// Read a key.
    Get {
        /// The key.
        key: String,
    },
    /// Read keys with a prefix, in order.
    Range(Range),
}

/// A listing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Range {
    /// Keys that begin with it.
    pub prefix: String,
    /// At most so many; 0 for all.
    pub limit: usize,
    /// Only keys after this one.
    pub after: Option<String>,
}

impl Range {
    /// All keys with a prefix.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            limit: 0,
            after: None,
        }
    }
}

/// Keys in order, all as of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeResponse {
    /// The keys.
    pub items: Vec<KeyValue>,
    /// Whether the limit cut the listing.
    pub more: bool,
    /// Revision of the store at the read.
    pub revision: Revision,
}

/// The only write: if all of `compares` hold, `then`, otherwise `otherwise`; atomically, at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Txn {
    /// Conditions, all of which must hold.
    pub compares: Vec<Compare>,
    /// Steps when they do.
    pub then: Vec<Op>,
    /// Steps when they do not.
    pub otherwise: Vec<Op>,
}

/// Outcome of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnResponse {
    /// Whether the compares held.
    pub succeeded: bool,
    /// Revision of the store after it.
    pub revision: Revision,
    /// One per step of the branch taken.
    pub results: Vec<OpResult>,
}

/// Outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResult {
    /// Written.
    Put,
    /// Keys removed.
    Deleted(u64),
    /// What was read.
    Range(RangeResponse),
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Written.
    Put(KeyValue),
    /// Removed, by a transaction or with its lease, at `revision`.
    Delete {
        /// The key.
        key: String,
        /// When.
        revision: Revision,
    },
}

impl Event {
    /// The key it is about.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put(kv) => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        match self {
            Self::Put(kv) => kv.mod_revision,
            Self::Delete { revision, .. } => *revision,
        }
    }
}
