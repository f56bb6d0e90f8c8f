//! Lives that are over, or that the others must go on without.

use std::collections::BTreeSet;

use api::NodeId;
use api::member::{Layout, Phase, RingMember, RingRecord};

use super::complaints::accused;
use super::seen::{Seen, Standing, ring_member};
use super::{Cause, Step, lives, sorted};
use crate::ring::placement::{holds_alone, read_layout};

/// What is to be done about lives that do not answer.
pub(super) enum Verdict {
    /// Nobody must go.
    Nothing,
    /// Nobody in the ring answers: nothing can be done but wait.
    Wait,
    /// The ring goes on like this.
    Step(Step),
}

/// Decides it. Lives that are certainly over go all at once; those that may live, one at a time.
pub(super) fn deaths(record: &RingRecord, seen: &Seen) -> Verdict {
    let all = lives(record);
    let with = |standing| {
        all.iter()
            .copied()
            .filter(move |life| seen.standing(record, life) == standing)
    };
    let gone: Vec<&RingMember> = with(Standing::Gone).collect();
    if with(Standing::Answers).next().is_none() {
        return match gone.len() == all.len() {
            true => restart(record, seen).map_or(Verdict::Wait, Verdict::Step),
            false => Verdict::Wait,
        };
    }
    if !gone.is_empty() {
        let cause = Cause::Gone(gone.iter().map(|life| life.id.clone()).collect());
        return Verdict::Step(without(record, &gone, seen, cause));
    }
    // Its keys would be lost for certain, while it may come back with them.
    let alone = |life: &RingMember| read_layout(record).replicas >= 2 && holds_alone(record, life.boot_id);
    if let Some(life) = with(Standing::Unreachable).find(|life| !alone(life)) {
        return Verdict::Step(without(record, &[life], seen, Cause::Unreachable(life.id.clone())));
    }
    match accused(record, seen) {
        Some(life) => Verdict::Step(without(record, &[life], seen, Cause::Complaints(life.id.clone()))),
        None => Verdict::Nothing,
    }
}

/// The ring of those who came back after nobody was left: all who belong to it, or who is there when the others have been
/// waited for long enough.
fn restart(record: &RingRecord, seen: &Seen) -> Option<Step> {
    let members: Vec<RingMember> = seen
        .registered
        .keys()
        .filter_map(|id| seen.candidate(id))
        .map(ring_member)
        .collect();
    let back: BTreeSet<&NodeId> = members.iter().map(|member| &member.id).collect();
    let before = record.previous.iter().flat_map(|layout| &layout.members);
    let complete = record
        .layout
        .members
        .iter()
        .chain(before)
        .all(|member| back.contains(&member.id));
    if members.is_empty() || !seen.is_complete() || !(complete || seen.patience_over) {
        return None;
    }
    let lost = |member: &RingMember| RingMember {
        lost: true,
        ..member.clone()
    };
    let previous = Layout {
        members: record.layout.members.iter().map(lost).collect(),
        ..record.layout.clone()
    };
    let layout = Layout {
        members: sorted(members),
        ..record.layout.clone()
    };
    Some(Step::moving(record, previous, layout, Cause::Restart))
}

/// The ring without some lives; with their next ones, where these are there already.
fn without(record: &RingRecord, dead: &[&RingMember], seen: &Seen, cause: Cause) -> Step {
    let is_dead = |member: &RingMember| dead.iter().any(|life| life.boot_id == member.boot_id);
    let mark = |layout: &Layout| Layout {
        members: layout
            .members
            .iter()
            .map(|member| RingMember {
                lost: member.lost || is_dead(member),
                ..member.clone()
            })
            .collect(),
        ..layout.clone()
    };
    let marked = mark(&record.layout);
    let Some(before) = record.previous.as_ref().map(mark) else {
        let members = successors(&marked, seen);
        return Step::moving(record, marked, members, cause);
    };
    let layout = match record.phase {
        Phase::Settling => marked.clone(),
        _ => successors(&marked, seen),
    };
    if layout.members.iter().all(|member| member.lost) {
        // All who were to take over are gone: those who had the keys keep them.
        let stay = before.members.iter().filter(|member| !member.lost).cloned().collect();
        let layout = Layout {
            members: stay,
            ..record.layout.clone()
        };
        return Step::moving(record, before, layout, cause);
    }
    match record.phase {
        Phase::Settling => Step::to(&with_layout(record, layout), Phase::Settling, Some(before), cause),
        _ => Step::moving(record, before, layout, cause),
    }
}

/// After everybody reads from the new owners: the change that replaces those of them that were lost meanwhile.
pub(super) fn replace(record: &RingRecord, lost: &[&RingMember], seen: &Seen) -> Step {
    let cause = Cause::Gone(lost.iter().map(|life| life.id.clone()).collect());
    Step::moving(record, record.layout.clone(), successors(&record.layout, seen), cause)
}

/// A layout without those that are lost in it, but with their next lives that are there.
fn successors(layout: &Layout, seen: &Seen) -> Layout {
    let next = |member: &RingMember| match member.lost {
        true => {
            let next = seen.candidate(&member.id).filter(|next| next.boot_id != member.boot_id);
            next.map(ring_member)
        }
        false => Some(member.clone()),
    };
    Layout {
        members: layout.members.iter().filter_map(next).collect(),
        ..layout.clone()
    }
}

fn with_layout(record: &RingRecord, layout: Layout) -> RingRecord {
    RingRecord {
        layout,
        ..record.clone()
    }
}
