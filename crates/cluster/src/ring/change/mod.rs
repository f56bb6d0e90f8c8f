//! How the ring changes: a pure function of the record and of what the leader sees.
//!
//! ```text
//!              join, drain, rebalance, settings                all of B synced                all of A and B synced
//!   stable B' ─────────────────────────────────► moving A → B ─────────────────► settling A → B ───────────────────► stable B
//!                                                 ▲   │ a death     a death, once it is settled │
//!                                                 └───┴─────────────────────────────────────────┘
//! ```
//!
//! What stays true:
//! - the epoch grows by one with every step, and every step needs the whole record before it;
//! - a life that is marked lost holds a copy of nothing that no other holder has, unless it is certainly over;
//! - deaths do not wait for a change under way; everything else does. But a death while settling marks the life lost and no
//!   more: as long as somebody may still read from the previous owners, writes must reach these;
//! - where a range has lost all its holders, the change stays open until those that are lost came back, with what their
//!   backups have, or have been waited for long enough;
//! - when nothing happens any more and everybody does what the phases ask for, the ring becomes stable.
//!
//! That owners serve one epoch and refuse the calls of any other is what makes three phases enough (the joint configurations
//! of Raft, Ongaro and Ousterhout 2014, §6, need a quorum for that).

mod complaints;
mod deaths;
mod requests;
mod seen;
mod step;

pub use requests::{KeepReason, Request, may_drain, moot};
pub use seen::{Health, Report, Seen};
pub use step::{Cause, Step};

use api::member::{Layout, Member, Phase, RingMember, RingRecord};
use api::{Epoch, NodeId};

use super::placement::has_orphans;
use deaths::{Verdict, deaths};
use seen::{Standing, ring_member};

/// What the ring should look like, apart from its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Virtual nodes per unit of weight.
    pub virtual_nodes: u32,
    /// Copies of each entry.
    pub replicas: u32,
}

/// The record that should follow `current`; none while that is right as it is.
#[must_use]
pub fn next(current: Option<&RingRecord>, seen: &Seen, policy: Policy) -> Option<Step> {
    let Some(record) = current else {
        return first(seen, policy);
    };
    match deaths(record, seen) {
        Verdict::Step(step) => return Some(step),
        Verdict::Wait => return None,
        Verdict::Nothing => {}
    }
    match record.phase {
        Phase::Stable => requests::change(record, seen, policy),
        Phase::Moving => moved(record, seen),
        Phase::Settling => settled(record, seen),
    }
}

/// Whether the keeper should count the time, for [`Seen::patience_over`]: nobody in the ring answers, or some range has lost
/// all its holders.
#[must_use]
pub fn stranded(record: &RingRecord, seen: &Seen) -> bool {
    let answers = |life: &RingMember| seen.standing(record, life) == Standing::Answers;
    !lives(record).into_iter().any(answers) || has_orphans(record)
}

/// How many nodes in the ring cannot reach each other, or cannot be reached by masters.
#[must_use]
pub fn complaints(record: &RingRecord, seen: &Seen) -> usize {
    complaints::count(record, seen)
}

/// The ring of a store that has none: the first one, or one after the store has lost its data. Nodes go on by the last ring then, until
/// there is another, so its epoch is above all that anybody says.
fn first(seen: &Seen, policy: Policy) -> Option<Step> {
    if !seen.all_were_asked() {
        return None;
    }
    let newest = seen.newest_epoch();
    let known = &seen.known;
    if known.epoch == newest && !known.layout.members.is_empty() {
        // What nodes hold is where that ring says; they register again one after the other. Who is gone goes in a step of its own.
        return Some(Step::to(known, known.phase, known.previous.clone(), Cause::Forgotten));
    }
    let Policy { virtual_nodes, replicas } = policy;
    let layout = |members| Layout {
        virtual_nodes,
        replicas,
        members,
    };
    let members: Vec<RingMember> = seen
        .registered
        .keys()
        .filter_map(|id| seen.candidate(id))
        .map(ring_member)
        .collect();
    let nothing = RingRecord {
        epoch: newest,
        ..RingRecord::default()
    };
    (!members.is_empty()).then(|| Step::moving(&nothing, layout(Vec::new()), layout(members), Cause::First))
}

fn moved(record: &RingRecord, seen: &Seen) -> Option<Step> {
    let orphans = has_orphans(record);
    if orphans {
        let members: Vec<RingMember> = newcomers(record, seen).map(ring_member).collect();
        if !members.is_empty() {
            return Some(returned(record, members));
        }
    }
    let synced = record.layout.members.iter().all(|life| seen.is_synced(record, life));
    if !synced || (orphans && !seen.patience_over && is_missed(record)) {
        return None;
    }
    Some(Step::to(record, Phase::Settling, record.previous.clone(), Cause::Synced))
}

/// Those that came while keys have no holder: what their backups have counts.
fn returned(record: &RingRecord, members: Vec<RingMember>) -> Step {
    let cause = Cause::Returned(members.iter().map(|member| member.id.clone()).collect());
    let layout = Layout {
        members: sorted(record.layout.members.iter().cloned().chain(members)),
        ..record.layout.clone()
    };
    Step::moving(record, record.previous.clone().unwrap_or_default(), layout, cause)
}

/// Whether a node is lost and has not come back.
fn is_missed(record: &RingRecord) -> bool {
    let back = |id: &NodeId| record.layout.members.iter().any(|member| member.id == *id);
    let before = record.previous.iter().flat_map(|layout| &layout.members);
    before.filter(|member| member.lost).any(|member| !back(&member.id))
}

fn settled(record: &RingRecord, seen: &Seen) -> Option<Step> {
    // Who serves it may still have to hand over what it applied before.
    if !lives(record).into_iter().all(|life| seen.is_synced(record, life)) {
        return None;
    }
    let lost: Vec<&RingMember> = record.layout.members.iter().filter(|member| member.lost).collect();
    Some(match lost.is_empty() {
        true => Step::to(record, Phase::Stable, None, Cause::Settled),
        false => deaths::replace(record, &lost, seen),
    })
}

/// Registered nodes that are not in the ring and may come in.
fn newcomers<'a>(record: &'a RingRecord, seen: &'a Seen) -> impl Iterator<Item = &'a Member> {
    let is_in = |member: &&Member| lives(record).into_iter().any(|life| life.id == member.id);
    let candidates = seen.registered.keys().filter_map(|id| seen.candidate(id));
    candidates
        .filter(move |member| !is_in(member))
        .filter(|member| !complaints::stays_out(record, seen, member))
}

/// Every life that keys are read from or written to.
fn lives(record: &RingRecord) -> Vec<&RingMember> {
    let mut lives: Vec<&RingMember> = record.layout.members.iter().filter(|member| !member.lost).collect();
    for member in record.previous.iter().flat_map(|layout| &layout.members) {
        if !member.lost && !record.layout.members.iter().any(|other| other.boot_id == member.boot_id) {
            lives.push(member);
        }
    }
    lives
}

fn sorted(members: impl IntoIterator<Item = RingMember>) -> Vec<RingMember> {
    let mut members: Vec<RingMember> = members.into_iter().collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members
}

const fn following(record: &RingRecord) -> Epoch {
    Epoch(record.epoch.0 + 1)
}
