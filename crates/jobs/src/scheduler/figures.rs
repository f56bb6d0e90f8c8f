//! Figures for dashboards and quotas.

use std::collections::BTreeMap;

use api::{JobId, NodeId};

use super::Scheduler;
use crate::Millis;
use crate::queue::NamespaceLoad;

/// What goes on, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs that have not ended.
    pub jobs: usize,
    /// Jobs of which nothing has been started: of higher than usual priority, usual, lower.
    pub queued: [usize; 3],
    /// Workers that poll.
    pub workers: usize,
    /// Workers that get nothing for a while because tasks failed on them that succeeded elsewhere.
    pub shunned: usize,
    /// Slots of all workers.
    pub slots: usize,
    /// Slots in use.
    pub busy: usize,
}

impl Scheduler {
    /// What goes on.
    #[must_use]
    pub fn figures(&self, now: Millis) -> Figures {
        Figures {
            jobs: self.jobs.len(),
            queued: self.queue.queued_by_priority(),
            workers: self.workers.len(),
            shunned: self.workers.values().filter(|worker| worker.is_shunned(now)).count(),
            slots: self.workers.values().map(|worker| worker.slots as usize).sum(),
            busy: self.workers.values().map(|worker| worker.busy.len()).sum(),
        }
    }

    /// What a namespace has going.
    #[must_use]
    pub fn load(&self, namespace: &str) -> NamespaceLoad {
        self.queue.load(namespace)
    }

    /// Live jobs.
    #[must_use]
    pub fn live_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it has this job.
    #[must_use]
    pub fn has(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Live workers.
    #[must_use]
    pub fn live_workers(&self) -> usize {
        self.workers.len()
    }

    /// Slots a worker has taken; whoever has fewest is best asked first.
    #[must_use]
    pub fn busy_slots(&self, worker: &NodeId) -> usize {
        self.workers.get(worker).map_or(0, |known| known.busy.len())
    }

    /// Workers that get nothing for a while.
    #[must_use]
    pub fn shunned(&self, now: Millis) -> Vec<NodeId> {
        let shunned = self.workers.iter().filter(|(_, worker)| worker.is_shunned(now));
        shunned.map(|(id, _)| id.clone()).collect()
    }

    /// Addresses of the workers that poll.
    #[must_use]
    pub fn addresses(&self) -> BTreeMap<NodeId, String> {
        let each = self.workers.iter();
        each.map(|(id, worker)| (id.clone(), worker.address.clone())).collect()
    }
}
