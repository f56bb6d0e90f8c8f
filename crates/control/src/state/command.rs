//! What can be asked of the state machine through the log. These types are the log's on-disk format (postcard): the
//! golden test beside the log's records fails when they change.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::validate::txn_bytes;
use crate::types::{Lease, LeaseId, Txn, TxnResponse};

/// A change, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// A transaction.
    Txn {
        /// What to do.
        txn: Txn,
        /// Bytes the user's keys may take after it; the proposer's setting, so that all nodes decide alike.
        user_quota: u64,
    },
    /// A new lease.
    Grant {
        /// Its full ttl.
        ttl: Duration,
    },
    /// The end of a lease, asked for or expired.
    Revoke {
        /// Which.
        lease: LeaseId,
    },
}

/// What a command that did not fail has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing to tell (entries of the protocol itself).
    None,
    /// A transaction.
    Txn(TxnResponse),
    /// A lease was granted.
    Granted(Lease),
    /// A lease has ended.
    Revoked,
}

impl Command {
    /// Bytes of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Txn { txn, .. } => txn_bytes(txn),
            Self::Grant { .. } | Self::Revoke { .. } => 0,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Txn { txn, .. } => {
                write!(
                    formatter,
                    "txn of {} compares, {} + {} steps",
                    txn.compares.len(),
                    txn.then.len(),
                    txn.otherwise.len()
                )
            }
            Self::Grant { ttl } => write!(formatter, "grant of {ttl:?}"),
            Self::Revoke { lease } => write!(formatter, "end of lease {}", lease.0),
        }
    }
}
