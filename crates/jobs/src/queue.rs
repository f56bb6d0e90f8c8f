//! Whose turn it is: jobs by what they wait for, so that the next one is found without looking at all.
//!
//! Higher priority first; of one priority the namespace with the fewest slots in use; in it new jobs, while they are admitted,
//! and then the job that was served longest ago. A choice costs O(namespaces + log jobs).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::JobId;

use crate::{Millis, Policy};

/// Queued jobs of a namespace looked at for one worker: planning that failed on it before is kept for others.
const QUEUED: usize = 8;

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To be planned for the first time.
    Queued,
    /// A slot.
    Ready,
    /// A time.
    At(Millis),
    /// Its workers.
    Idle,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) place: Place,
    /// Attempts in workers' hands.
    pub(crate) in_hand: usize,
    /// A task of it waits for a worker of its own.
    pub(crate) alone: bool,
    /// Nothing of it has been started.
    pub(crate) is_queued: bool,
    /// It has been started and has not ended.
    pub(crate) is_active: bool,
}

/// Identity of a job in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) job: JobId,
    pub(crate) priority: i32,
    pub(crate) namespace: Arc<str>,
    pub(crate) served: u64,
    /// Size of what was submitted.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Turn {
    queued: BTreeSet<JobId>,
    ready: BTreeSet<(u64, JobId)>,
}

/// Figures of one namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NamespaceLoad {
    /// Jobs of which nothing has been started.
    pub queued: usize,
    /// Bytes of what was submitted with them.
    pub queued_bytes: usize,
    /// Jobs that have been started and have not ended.
    pub active: usize,
    /// Slots in use.
    pub slots: usize,
}

/// All live jobs, sorted.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<JobId, (Ticket, Standing)>,
    tiers: BTreeMap<Reverse<i32>, BTreeMap<Arc<str>, Turn>>,
    wake: BTreeSet<(Millis, JobId)>,
    alone: BTreeSet<JobId>,
    loads: BTreeMap<Arc<str>, NamespaceLoad>,
    active: BTreeMap<i32, usize>,
    queued: BTreeMap<i32, usize>,
}

impl Queue {
    /// Puts a job where it stands now.
    pub(crate) fn put(&mut self, ticket: Ticket, standing: Standing) {
        if self
            .entries
            .get(&ticket.job)
            .is_some_and(|old| *old == (ticket.clone(), standing))
        {
            return;
        }
        self.remove(ticket.job);
        let job = ticket.job;
        match standing.place {
            Place::Queued => drop(self.turn(&ticket).queued.insert(job)),
            Place::Ready => drop(self.turn(&ticket).ready.insert((ticket.served, job))),
            Place::At(time) => drop(self.wake.insert((time, job))),
            Place::Idle => {}
        }
        if standing.alone {
            self.alone.insert(job);
        }
        let load = self.loads.entry(Arc::clone(&ticket.namespace)).or_default();
        load.slots += standing.in_hand;
        load.queued += usize::from(standing.is_queued);
        load.queued_bytes += queued_bytes(&ticket, &standing);
        load.active += usize::from(standing.is_active);
        *self.active.entry(ticket.priority).or_default() += usize::from(standing.is_active);
        *self.queued.entry(ticket.priority).or_default() += usize::from(standing.is_queued);
        self.entries.insert(job, (ticket, standing));
    }

    /// Takes a job out.
    pub(crate) fn remove(&mut self, job: JobId) {
        let Some((ticket, standing)) = self.entries.remove(&job) else {
            return;
        };
        match standing.place {
            Place::Queued | Place::Ready => self.leave_turn(&ticket),
            Place::At(time) => drop(self.wake.remove(&(time, job))),
            Place::Idle => {}
        }
        self.alone.remove(&job);
        if let Some(load) = self.loads.get_mut(&ticket.namespace) {
            load.slots -= standing.in_hand;
            load.queued -= usize::from(standing.is_queued);
            load.queued_bytes -= queued_bytes(&ticket, &standing);
            load.active -= usize::from(standing.is_active);
            if *load == NamespaceLoad::default() {
                self.loads.remove(&ticket.namespace);
            }
        }
        lessen(&mut self.active, ticket.priority, standing.is_active);
        lessen(&mut self.queued, ticket.priority, standing.is_queued);
    }

    fn turn(&mut self, ticket: &Ticket) -> &mut Turn {
        let tier = self.tiers.entry(Reverse(ticket.priority)).or_default();
        tier.entry(Arc::clone(&ticket.namespace)).or_default()
    }

    fn leave_turn(&mut self, ticket: &Ticket) {
        let Some(tier) = self.tiers.get_mut(&Reverse(ticket.priority)) else {
            return;
        };
        if let Some(turn) = tier.get_mut(&ticket.namespace) {
            turn.queued.remove(&ticket.job);
            turn.ready.remove(&(ticket.served, ticket.job));
            if turn.queued.is_empty() && turn.ready.is_empty() {
                tier.remove(&ticket.namespace);
            }
        }
        if tier.is_empty() {
            self.tiers.remove(&Reverse(ticket.priority));
        }
    }

    /// Jobs whose time has come; to be put again.
    pub(crate) fn due(&self, now: Millis) -> Vec<JobId> {
        let due = self.wake.iter().take_while(|(time, _)| *time <= now);
        due.map(|(_, job)| *job).collect()
    }

    /// The first job, in turn, that has something for whoever asks: `offer` says what.
    pub(crate) fn first<T>(&self, policy: &Policy, mut offer: impl FnMut(JobId) -> Option<T>) -> Option<(JobId, T)> {
        for (Reverse(priority), tier) in &self.tiers {
            let mut namespaces: Vec<_> = tier.iter().map(|(name, turn)| (self.load(name).slots, name, turn)).collect();
            namespaces.sort_by_key(|(slots, name, _)| (*slots, *name));
            for (_, name, turn) in namespaces {
                let queued = turn
                    .queued
                    .iter()
                    .take(QUEUED)
                    .filter(|_| self.admits(*priority, name, policy));
                let ready = turn.ready.iter().map(|(_, job)| job);
                for job in queued.chain(ready) {
                    if let Some(found) = offer(*job) {
                        return Some((*job, found));
                    }
                }
            }
        }
        None
    }

    /// Whether one more job of this priority and namespace may be started. Every namespace may have one.
    fn admits(&self, priority: i32, namespace: &str, policy: &Policy) -> bool {
        let mine = self.load(namespace).active;
        let active: usize = self.active.range(priority..).map(|(_, count)| count).sum();
        mine < policy.max_active_per_namespace && (mine == 0 || active < policy.max_active)
    }

    /// A job with a task that needs a worker of its own.
    pub(crate) fn first_alone(&self) -> Option<JobId> {
        self.alone.first().copied()
    }

    /// Figures of a namespace.
    pub(crate) fn load(&self, namespace: &str) -> NamespaceLoad {
        self.loads.get(namespace).copied().unwrap_or_default()
    }

    /// Jobs of which nothing has been started: of higher than usual priority, usual, lower.
    pub(crate) fn queued_by_priority(&self) -> [usize; 3] {
        let count = |range: &mut dyn Iterator<Item = (&i32, &usize)>| range.map(|(_, count)| count).sum();
        [
            count(&mut self.queued.range(1..)),
            count(&mut self.queued.range(0..=0)),
            count(&mut self.queued.range(..0)),
        ]
    }
}

fn queued_bytes(ticket: &Ticket, standing: &Standing) -> usize {
    if standing.is_queued { ticket.bytes } else { 0 }
}

fn lessen(counts: &mut BTreeMap<i32, usize>, priority: i32, by_one: bool) {
    if let Some(count) = counts.get_mut(&priority) {
        *count -= usize::from(by_one);
        if *count == 0 {
            counts.remove(&priority);
        }
    }
}
