//! Nodes that answer the leader but cannot reach each other, or that masters cannot reach.
//!
//! A write needs every owner of its key, so a pair of owners that cannot reach each other stops writes for as long as both
//! are in the ring. One of the two goes: the one more nodes complain of, or that complains of more.

use std::collections::{BTreeMap, BTreeSet};

use api::NodeId;
use api::member::{Member, RingMember, RingRecord};

use super::lives;
use super::seen::{Seen, Standing};
use crate::ring::placement::holds_alone;

/// What is left of all complaints once those that count for nothing are gone.
struct Complaints<'a> {
    /// In how many complaints a node is, as the one who complains or the one complained of.
    counts: BTreeMap<&'a NodeId, usize>,
    /// Nodes that cannot reach half of all: it is they who are cut off.
    broken: BTreeSet<&'a NodeId>,
}

/// The life that should leave the ring for the sake of the others; never one that holds a range alone.
pub(super) fn accused<'a>(record: &'a RingRecord, seen: &Seen) -> Option<&'a RingMember> {
    let present = present(record, seen);
    let complaints = Complaints::among(&present, record, seen);
    let mut accused: Vec<&RingMember> = present
        .iter()
        .copied()
        .filter(|life| match complaints.broken.is_empty() {
            true => complaints.counts.contains_key(&life.id),
            false => complaints.broken.contains(&life.id),
        })
        .collect();
    accused.sort_by_key(|life| std::cmp::Reverse((complaints.counts.get(&life.id), &life.id)));
    accused.into_iter().find(|life| !holds_alone(record, life.boot_id))
}

/// Whether a node stays out of the ring: somebody in it cannot reach it, or it cannot reach somebody in it.
pub(super) fn stays_out(record: &RingRecord, seen: &Seen, newcomer: &Member) -> bool {
    let present = present(record, seen);
    let said = seen.report(&newcomer.id, newcomer.boot_id);
    let complains = said.is_some_and(|report| report.unreachable.iter().any(|id| present.iter().any(|life| life.id == *id)));
    let named_by_ring = present
        .iter()
        .filter_map(|life| seen.report(&life.id, life.boot_id))
        .any(|report| report.unreachable.contains(&newcomer.id));
    let named_by_master = seen.masters.values().any(|status| {
        let named = present.iter().filter(|life| status.unreachable.contains(&life.id)).count();
        status.unreachable.contains(&newcomer.id) && named * 2 < present.len().max(1)
    });
    complains || named_by_ring || named_by_master
}

/// The lives in the ring that answer the leader. The others are judged by that alone.
fn present<'a>(record: &'a RingRecord, seen: &Seen) -> Vec<&'a RingMember> {
    let answers = |life: &&RingMember| seen.standing(record, life) == Standing::Answers;
    lives(record).into_iter().filter(answers).collect()
}

impl<'a> Complaints<'a> {
    /// Only what is said by nodes that know this record counts: others may speak of an earlier life of a node.
    fn among(present: &[&'a RingMember], record: &RingRecord, seen: &Seen) -> Self {
        let named = |unreachable: &[NodeId]| -> Vec<&'a NodeId> {
            let ids = present.iter().map(|life| &life.id);
            ids.filter(|id| unreachable.contains(id)).collect()
        };
        let is_broken = |named: &[&NodeId]| !named.is_empty() && named.len() * 2 >= present.len();
        let (mut counts, mut broken, mut pairs) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for life in present {
            let report = seen
                .report(&life.id, life.boot_id)
                .filter(|report| report.epoch >= record.epoch);
            let mut others = report.map(|report| named(&report.unreachable)).unwrap_or_default();
            others.retain(|other| **other != life.id && seen.is_confirmed(&life.id, other));
            if is_broken(&others) {
                broken.insert(&life.id);
            }
            pairs.extend(others.into_iter().map(|other| (other.min(&life.id), other.max(&life.id))));
        }
        for (one, other) in pairs {
            *counts.entry(one).or_default() += 1;
            *counts.entry(other).or_default() += 1;
        }
        for (master, status) in seen.masters.iter().filter(|(_, status)| status.epoch >= record.epoch) {
            let mut others = named(&status.unreachable);
            others.retain(|other| seen.is_confirmed(master, other));
            if !is_broken(&others) {
                others.into_iter().for_each(|other| *counts.entry(other).or_default() += 1);
            }
        }
        Self { counts, broken }
    }
}

/// How many nodes in the ring are complained of, or complain.
pub(super) fn count(record: &RingRecord, seen: &Seen) -> usize {
    Complaints::among(&present(record, seen), record, seen).counts.len()
}
