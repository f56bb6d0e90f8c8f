//! What the scheduler knows of a worker.

use std::collections::{BTreeMap, BTreeSet};

use api::task::{PollRequest, WorkId};
use api::{BootId, JobId, NodeId};

use crate::Millis;

/// One life of a worker: its outputs and its work die with it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Worker {
    pub(crate) fn new(poll: &PollRequest, now: Millis) -> Self {
        Self {
            boot: poll.boot_id,
            address: poll.address.clone(),
            slots: poll.slots,
            seen: now,
            busy: BTreeSet::new(),
            missing: BTreeMap::new(),
            told: BTreeSet::new(),
            forget: BTreeMap::new(),
        }
    }

    /// Takes in what a poll says; `wanted` tells whether work it was given is still waited for.
    pub(crate) fn heard(&mut self, poll: &PollRequest, now: Millis, wanted: impl Fn(&WorkId) -> bool) {
        self.seen = now;
        self.address.clone_from(&poll.address);
        self.slots = poll.slots;
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
    }

    pub(crate) fn free_slots(&self) -> usize {
        (self.slots as usize).saturating_sub(self.busy.len())
    }

    pub(crate) fn take_slot(&mut self, work: WorkId) {
        self.busy.insert(work);
    }

    pub(crate) fn release_slot(&mut self, work: &WorkId) {
        self.busy.remove(work);
        self.missing.remove(work);
        self.told.remove(work);
    }

    /// Work that has not been listed for `grace`: it never arrived, or its report never will.
    pub(crate) fn overdue(&self, now: Millis, grace: Millis) -> Vec<WorkId> {
        self.missing
            .iter()
            .filter(|(_, since)| **since + grace <= now)
            .map(|(work, _)| *work)
            .collect()
    }
}
