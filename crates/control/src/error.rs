//! What can go wrong with the store, by what the caller should do.

use api::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::types::Revision;

/// Failure of a call to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// Not executed: no engine could be reached, or there is no raft leader. Try again.
    #[error("the control store is unavailable: {0}")]
    Unavailable(String),
    /// Outcome unknown.
    #[error("the control store did not answer in time: {0}")]
    Timeout(String),
    /// The lease has ended; grant a new one and write its keys again.
    #[error("the lease has expired or was revoked")]
    LeaseNotFound,
    /// The revision is no longer kept: list again, then watch from the listing's revision + 1.
    #[error("revision {requested} is compacted; the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// What is still there.
        oldest: Revision,
    },
    /// The request is wrong (a key written twice in one transaction, too large, …).
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// The user's keys would take more room than they may; nothing was written. Delete some, or raise the quota.
    #[error("the quota of the key-value store is used up: {used} bytes needed, {quota} allowed")]
    QuotaExceeded {
        /// Bytes the keys would take.
        used: u64,
        /// Bytes they may take.
        quota: u64,
    },
    /// The engine is broken (damaged log, failed disk); somebody must act.
    #[error("the control store is damaged: {0}")]
    Damaged(String),
    /// There is no such member.
    #[error("{0}")]
    NotFound(String),
    /// The state of the cluster does not allow it; nothing was done.
    #[error("{0}")]
    Conflict(String),
}

impl Error {
    /// The public code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Timeout(_) => ErrorCode::Timeout,
            Self::LeaseNotFound | Self::Compacted { .. } | Self::Conflict(_) => ErrorCode::Conflict,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Invalid(_) => ErrorCode::InvalidArgument,
            Self::QuotaExceeded { .. } => ErrorCode::RateLimited,
            Self::Damaged(_) => ErrorCode::Internal,
        }
    }
}
