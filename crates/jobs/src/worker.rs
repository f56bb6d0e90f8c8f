//! What the scheduler knows of a worker.

use std::collections::{BTreeMap, BTreeSet};

use api::task::{PollRequest, WorkId};
use api::{BootId, JobId, NodeId};

use crate::{Millis, Policy};

/// One life of a worker: its outputs and its work die with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) worker: NodeId,
    pub(crate) boot: BootId,
}

/// A worker that polls.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) boot: BootId,
    pub(crate) address: String,
    pub(crate) slots: u32,
    memory_limit: u64,
    memory_used: u64,
    /// Last sign of life.
    pub(crate) seen: Millis,
    /// Everything that holds a slot: what it says it runs, and what it was given and may not have begun.
    pub(crate) busy: BTreeSet<WorkId>,
    /// Work it was given and did not list, and since when.
    pub(crate) missing: BTreeMap<WorkId, Millis>,
    /// Cancellations it has been told already, so that a slow stop does not answer every poll at once.
    pub(crate) told: BTreeSet<WorkId>,
    /// Jobs it may forget, and until when it is told so.
    pub(crate) forget: BTreeMap<JobId, Millis>,
    /// The task that has it for itself.
    pub(crate) alone: Option<WorkId>,
    /// It is being emptied for such a task.
    pub(crate) draining: bool,
    /// When tasks that failed here succeeded elsewhere.
    blames: Vec<Millis>,
    /// It gets nothing until then.
    shunned_until: Millis,
}

impl Worker {
    pub(crate) fn new(poll: &PollRequest, now: Millis) -> Self {
        Self {
            boot: poll.boot_id,
            address: poll.address.clone(),
            slots: poll.slots,
            memory_limit: poll.memory_limit,
            memory_used: poll.memory_used,
            seen: now,
            busy: BTreeSet::new(),
            missing: BTreeMap::new(),
            told: BTreeSet::new(),
            forget: BTreeMap::new(),
            alone: None,
            draining: false,
            blames: Vec::new(),
            shunned_until: 0,
        }
    }

    /// Takes in what a poll says; `wanted` tells whether work it was given is still waited for.
    pub(crate) fn heard(&mut self, poll: &PollRequest, now: Millis, wanted: impl Fn(&WorkId) -> bool) {
        self.seen = now;
        self.address.clone_from(&poll.address);
        self.slots = poll.slots;
        self.memory_limit = poll.memory_limit;
        self.memory_used = poll.memory_used;
        let running: BTreeSet<WorkId> = poll.running.iter().copied().collect();
        let absent: BTreeSet<WorkId> = self
            .busy
            .iter()
            .filter(|w| !running.contains(w) && wanted(w))
            .copied()
            .collect();
        self.missing = absent
            .iter()
            .map(|w| (*w, self.missing.get(w).copied().unwrap_or(now)))
            .collect();
        self.told.retain(|work| running.contains(work));
        self.busy = running.union(&absent).copied().collect();
        self.alone = self.alone.filter(|work| self.busy.contains(work));
    }

    pub(crate) fn free_slots(&self, policy: &Policy) -> usize {
        if self.alone.is_some() || self.draining || self.is_short_of_memory(policy) {
            return 0;
        }
        (self.slots as usize).saturating_sub(self.busy.len())
    }

    /// Memory admission: what runs has nearly all of it, so that one more task would only make all of them spill.
    fn is_short_of_memory(&self, policy: &Policy) -> bool {
        let bound = self.memory_limit / 100 * u64::from(policy.memory_percent);
        self.memory_limit > 0 && !self.busy.is_empty() && self.memory_used > bound
    }

    pub(crate) fn take_slot(&mut self, work: WorkId, alone: bool) {
        self.busy.insert(work);
        if alone {
            self.alone = Some(work);
            self.draining = false;
        }
    }

    pub(crate) fn release_slot(&mut self, work: &WorkId) {
        self.busy.remove(work);
        self.missing.remove(work);
        self.told.remove(work);
        self.alone = self.alone.filter(|alone| alone != work);
    }

    /// Work that has not been listed for `grace`: it never arrived, or its report never will.
    pub(crate) fn overdue(&self, now: Millis, grace: Millis) -> Vec<WorkId> {
        self.missing
            .iter()
            .filter(|(_, since)| **since + grace <= now)
            .map(|(work, _)| *work)
            .collect()
    }

    /// A task that failed here succeeded elsewhere; whether that was once too often.
    pub(crate) fn blame(&mut self, now: Millis, policy: &Policy) -> bool {
        self.blames.retain(|at| at + policy.blame_window > now);
        self.blames.push(now);
        let too_often = self.blames.len() >= policy.blame_limit && !self.is_shunned(now);
        if too_often {
            self.blames.clear();
            self.shunned_until = now + policy.shun_for;
        }
        too_often
    }

    /// Whether it gets nothing for a while.
    pub(crate) const fn is_shunned(&self, now: Millis) -> bool {
        now < self.shunned_until
    }
}
