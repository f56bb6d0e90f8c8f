//! What clients asked, and what they were told.

use crate::error::Error;
use crate::types::{Consistency, KeyValue, Range, RangeResponse, Txn, TxnResponse};

use super::world::Running;
use crate::ControlStore as _;

/// A question.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Get {
        key: String,
        stale: bool,
    },
    List {
        prefix: String,
    },
    /// With `mark`, a value that nobody else writes, in one of its puts; none for what only reads.
    Txn {
        txn: Txn,
        mark: Option<String>,
    },
}

/// What came of it.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "reasons are for people: they are shown")]
pub(super) enum Told {
    Got(Option<KeyValue>),
    Listed(RangeResponse),
    Done(TxnResponse),
    /// Certainly not executed.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// A question with its answer.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) client: u32,
    /// Moments; what was never answered ends never.
    pub(super) called: u64,
    pub(super) returned: u64,
    pub(super) ask: Ask,
    pub(super) told: Told,
    /// The process that was asked.
    pub(super) via: (String, u32),
}

impl Ask {
    pub(super) fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::List { .. } | Self::Txn { mark: None, .. })
    }

    /// Asks a master.
    pub(super) async fn of(self, master: Running) -> Result<Told, Error> {
        let store = master.store;
        Ok(match self {
            Self::Get { key, stale: true } => Told::Got(store.get(&key, Consistency::Stale).await?),
            Self::Get { key, stale: false } => Told::Got(store.get(&key, Consistency::Linearizable).await?),
            Self::List { prefix } => Told::Listed(store.range(Range::prefix(prefix), Consistency::Linearizable).await?),
            Self::Txn { txn, .. } => Told::Done(store.txn(txn).await?),
        })
    }

    /// What an error means for it.
    pub(super) fn failed(&self, error: &Error) -> Told {
        match error {
            // A read that fails has done nothing, however it fails.
            Error::Timeout(text) | Error::Damaged(text) if !self.is_read() => Told::Unknown(text.clone()),
            other => Told::Refused(other.to_string()),
        }
    }
}
