//! What a master asks of the leader: keys that the keeper of the ring answers, see [`crate::change`].

use std::sync::Arc;
use std::time::Duration;

use api::member::{Phase, RingRecord};
use api::{BootId, Epoch, NodeId};
use control::{ControlStore, Revision};
use serde::{Deserialize, Serialize};

use crate::change::{KeepReason, may_drain};
use crate::{Error, Snapshot, View, keys};

/// Value of `ring-requests/drain/{node}`: stays until that life is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The life that leaves; a later one may come in.
    pub boot_id: BootId,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The node that was to leave.
    pub node: Option<NodeId>,
    /// Epoch when it was asked for.
    pub before: Epoch,
    /// Epoch when it was done, or waited for no longer.
    pub after: Epoch,
    /// First epoch whose range syncs can be its own; none when it was done before it was asked for.
    pub syncs_from: Option<Epoch>,
    /// Revision of the store at which it was asked for; none as above.
    pub asked: Option<Revision>,
    /// Whether it is done; otherwise it goes on.
    pub done: bool,
}

/// Asks that a node hands over what it holds and leaves the ring, and waits for that no longer than `patience`. A request
/// that is repeated joins the first one.
///
/// # Errors
/// [`Error::Keep`] when it must stay, [`Error::Control`] when the store fails: then it may have been asked for.
pub async fn drain(store: &Arc<dyn ControlStore>, view: &View, node: &NodeId, patience: Duration) -> Result<Outcome, Error> {
    let snapshot = view.load_full();
    let record = snapshot.routing().record();
    let keep = |reason| Error::Keep {
        id: node.clone(),
        reason,
    };
    let drained = Outcome {
        node: Some(node.clone()),
        before: record.epoch,
        after: record.epoch,
        syncs_from: None,
        asked: None,
        done: true,
    };
    if let Some(boot_id) = snapshot.drains().get(node)
        && record.phase == Phase::Stable
        && !has(record, node, *boot_id)
    {
        return Ok(drained);
    }
    may_drain(record, node).map_err(keep)?;
    let boot_id = life_of(record, node).ok_or_else(|| keep(KeepReason::NotInRing))?;
    let asked = put(store, keys::drain(node), &Drain { boot_id }).await?;
    let drained = Outcome {
        syncs_from: Some(record.phase.syncs_from(record.epoch)),
        asked: Some(asked),
        ..drained
    };
    let answered = |snapshot: &Arc<Snapshot>| {
        let record = snapshot.routing().record();
        let pending = snapshot.drains().get(node) == Some(&boot_id);
        snapshot.heard() >= asked && (!pending || (record.phase == Phase::Stable && !has(record, node, boot_id)))
    };
    let found = tokio::time::timeout(patience, view.wait_for(answered)).await;
    let Ok(found) = found else {
        return Ok(Outcome {
            after: view.load().epoch(),
            done: false,
            ..drained
        });
    };
    let record = found.routing().record();
    if has(record, node, boot_id) {
        // The leader decides by what holds when its turn comes.
        let left = record.layout.members.len().saturating_sub(1);
        let replicas = record.layout.replicas;
        return Err(keep(KeepReason::TooFew { left, replicas }));
    }
    Ok(Outcome {
        after: record.epoch,
        ..drained
    })
}

/// Asks that all auxiliaries compare what they hold and fetch what they lack, and waits for that no longer than `patience`.
///
/// # Errors
/// [`Error::Control`] when the store fails: then it may have been asked for.
pub async fn rebalance(store: &Arc<dyn ControlStore>, view: &View, patience: Duration) -> Result<Outcome, Error> {
    let before = view.load().epoch();
    let asked = store.put(keys::REBALANCE, bytes::Bytes::from_static(b"{}"), None).await?;
    let done = |snapshot: &Arc<Snapshot>| snapshot.is_rebalanced_since(asked);
    let found = tokio::time::timeout(patience, view.wait_for(done)).await;
    Ok(Outcome {
        node: None,
        before,
        after: found.as_ref().map_or_else(|_| view.load().epoch(), |found| found.epoch()),
        syncs_from: Some(before.next()),
        asked: Some(asked),
        done: found.is_ok(),
    })
}

/// Whether a life is in either layout.
fn has(record: &RingRecord, node: &NodeId, boot_id: BootId) -> bool {
    let layouts = std::iter::once(&record.layout).chain(&record.previous);
    let mut members = layouts.flat_map(|layout| &layout.members);
    members.any(|member| member.id == *node && member.boot_id == boot_id && !member.lost)
}

/// The life of a node that is in either layout.
fn life_of(record: &RingRecord, node: &NodeId) -> Option<BootId> {
    let layouts = std::iter::once(&record.layout).chain(&record.previous);
    let mut members = layouts.flat_map(|layout| &layout.members);
    members
        .find(|member| member.id == *node && !member.lost)
        .map(|member| member.boot_id)
}

async fn put(store: &Arc<dyn ControlStore>, key: String, value: &impl Serialize) -> Result<Revision, Error> {
    let value = serde_json::to_vec(value).map_err(|source| Error::Record {
        key: key.clone(),
        source,
    })?;
    Ok(store.put(&key, value.into(), None).await?)
}
