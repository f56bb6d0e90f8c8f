//! Reads and writes of the ring record as leader.

use std::sync::Arc;

use api::member::RingRecord;
use control::{Compare, Consistency, ControlStore, Op, Revision, Txn};

use super::change::{Request, Step};
use crate::{Error, Token, keys};

/// The ring as the store has it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) record: RingRecord,
    mod_revision: Revision,
}

/// The record, if there is one.
pub(super) async fn read(store: &Arc<dyn ControlStore>) -> Result<Option<Held>, Error> {
    let entry = store.get(keys::RING, Consistency::Linearizable).await?;
    entry
        .map(|entry| {
            let record = serde_json::from_slice(&entry.value).map_err(|source| Error::Record {
                key: keys::RING.to_owned(),
                source,
            })?;
            Ok(Held {
                record,
                mod_revision: entry.mod_revision,
            })
        })
        .transpose()
}

/// Writes the next record over the one it was computed from; none when that was not there any more, or this term is over.
pub(super) async fn write(
    store: &Arc<dyn ControlStore>,
    token: &Token,
    current: Option<&Held>,
    step: Step,
) -> Result<Option<Held>, Error> {
    let key = || keys::RING.to_owned();
    let value = serde_json::to_vec(&step.record).map_err(|source| Error::Record { key: key(), source })?;
    let unchanged = match current {
        Some(held) => Compare::ModRevision(key(), held.mod_revision),
        None => Compare::Absent(key()),
    };
    let put = Op::Put {
        key: key(),
        value: value.into(),
        lease: None,
    };
    let txn = Txn {
        compares: vec![token.fence(), unchanged],
        then: std::iter::once(put).chain(step.answers.iter().map(delete)).collect(),
        otherwise: Vec::new(),
    };
    let answer = store.txn(txn).await?;
    Ok(answer.succeeded.then_some(Held {
        record: step.record,
        mod_revision: answer.revision,
    }))
}

/// Removes requests that nothing will come of.
pub(super) async fn dismiss(store: &Arc<dyn ControlStore>, token: &Token, requests: &[Request]) -> Result<(), Error> {
    let txn = Txn {
        compares: vec![token.fence()],
        then: requests.iter().map(delete).collect(),
        otherwise: Vec::new(),
    };
    store.txn(txn).await?;
    Ok(())
}

fn delete(request: &Request) -> Op {
    let key = match request {
        Request::Drain(id) => keys::drain(id),
        Request::Rebalance => keys::REBALANCE.to_owned(),
    };
    Op::Delete { key }
}
