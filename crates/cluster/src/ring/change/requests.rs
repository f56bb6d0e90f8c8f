//! What a stable ring should become: newcomers, and what operators asked for.

use api::NodeId;
use api::member::{Layout, Phase, RingMember, RingRecord};

use super::seen::{Seen, ring_member};
use super::{Cause, Policy, Step, lives, newcomers, sorted};

/// Something an operator asked the leader for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// That a node hands over what it holds, and leaves the ring.
    Drain(NodeId),
    /// That all nodes compare what they hold.
    Rebalance,
}

/// Why a node must stay in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepReason {
    /// It is not in the ring.
    #[error("it is not in the ring")]
    NotInRing,
    /// Too few would be left.
    #[error("{left} would be left, and {replicas} copies of each entry need as many nodes")]
    TooFew {
        /// Nodes that would be left.
        left: usize,
        /// Copies of each entry.
        replicas: u32,
    },
}

/// Whether a node may leave the ring.
///
/// # Errors
/// Why it may not.
pub fn may_drain(record: &RingRecord, node: &NodeId) -> Result<(), KeepReason> {
    let is_in = |layout: &Layout| layout.members.iter().any(|member| member.id == *node && !member.lost);
    if !is_in(&record.layout) {
        let leaves = record.previous.as_ref().is_some_and(is_in);
        return if leaves { Ok(()) } else { Err(KeepReason::NotInRing) };
    }
    let others = record
        .layout
        .members
        .iter()
        .filter(|member| member.id != *node && !member.lost);
    let left = others.count();
    match left >= (record.layout.replicas.max(1) as usize) {
        true => Ok(()),
        false => Err(KeepReason::TooFew {
            left,
            replicas: record.layout.replicas,
        }),
    }
}

/// Requests that no change of the ring will answer: drains of lives that are over, or that must stay.
#[must_use]
pub fn moot(current: Option<&RingRecord>, seen: &Seen) -> Vec<Request> {
    let is_moot = |id: &NodeId, boot_id| {
        let life = current.and_then(|record| {
            lives(record)
                .into_iter()
                .find(|life| life.id == *id && life.boot_id == boot_id)
        });
        match (life, current) {
            (Some(_), Some(record)) => record.phase == Phase::Stable && may_drain(record, id).is_err(),
            _ => seen.registered.get(id).is_none_or(|member| member.boot_id != boot_id),
        }
    };
    let drains = seen.drains.iter().filter(|(id, boot_id)| is_moot(id, **boot_id));
    drains.map(|(id, _)| Request::Drain(id.clone())).collect()
}

/// The change that a stable ring needs, if any: all newcomers at once, and one drain.
pub(super) fn change(record: &RingRecord, seen: &Seen, policy: Policy) -> Option<Step> {
    let leaves = |life: &&RingMember| seen.is_drained(&life.id, life.boot_id) && may_drain(record, &life.id).is_ok();
    let drained = record.layout.members.iter().find(leaves).map(|life| life.id.clone());
    let joined: Vec<RingMember> = newcomers(record, seen).map(ring_member).collect();
    let stay = record.layout.members.iter().filter(|life| Some(&life.id) != drained.as_ref());
    let stay = stay.map(|life| {
        let registered = seen.registered.get(&life.id).filter(|member| member.boot_id == life.boot_id);
        registered.map_or_else(|| life.clone(), ring_member)
    });
    let Policy { virtual_nodes, replicas } = policy;
    let layout = Layout {
        virtual_nodes,
        replicas,
        members: sorted(stay.chain(joined.iter().cloned())),
    };
    if (layout == record.layout && !seen.rebalance) || !seen.is_complete() {
        return None;
    }
    let cause = Cause::Wanted {
        joined: joined.into_iter().map(|member| member.id).collect(),
        drained,
        rebalance: seen.rebalance,
    };
    let step = Step::moving(record, record.layout.clone(), layout, cause);
    let answers = seen.rebalance.then_some(Request::Rebalance);
    Some(Step {
        answers: answers.into_iter().collect(),
        ..step
    })
}
