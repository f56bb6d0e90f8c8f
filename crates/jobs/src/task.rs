//! One unit of work over all its attempts: a partition of a stage, or the planning of a job.

use std::collections::BTreeSet;

use api::NodeId;
use api::task::{ATTEMPT_BITS, TaskOutput};

use crate::worker::Life;
use crate::{Millis, Policy};

/// Where a unit of work stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// To be started, not before a time.
    Pending { from: Millis },
    /// A worker has it.
    Running { attempt: u32, on: Life },
    /// Its output is on that worker (or, for the last stage, in our hands).
    Done {
        attempt: u32,
        on: Life,
        address: String,
        output: TaskOutput,
    },
    /// It was done, its output is gone, and so far nobody reads it.
    Lost,
}

/// Why an attempt came to nothing; decides what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The attempt failed or died with its worker: one of its attempts is used up.
    Failure,
    /// An input was missing, which is not the reader's fault.
    Fetch,
    /// It never arrived at the worker.
    Undelivered,
}

/// Bounds after which a unit of work is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// A unit of work.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) state: State,
    starts: u32,
    failures: u32,
    fetch_failures: u32,
    /// Workers on which it failed: elsewhere first.
    avoid: BTreeSet<NodeId>,
}

impl Task {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            state: State::Pending { from: now },
            starts: 0,
            failures: 0,
            fetch_failures: 0,
            avoid: BTreeSet::new(),
        }
    }

    /// Whether `worker` may start it now; `others` tells whether a live worker outside a set exists.
    pub(crate) fn may_start(
        &self,
        now: Millis,
        worker: &NodeId,
        others: impl Fn(&BTreeSet<NodeId>) -> bool,
        policy: &Policy,
    ) -> bool {
        let State::Pending { from } = self.state else { return false };
        from <= now && (!self.avoid.contains(worker) || from + policy.elsewhere_wait <= now || !others(&self.avoid))
    }

    /// Gives it to a worker, as a new attempt of `run`.
    pub(crate) fn start(&mut self, run: u32, on: Life) -> u32 {
        let attempt = (run << ATTEMPT_BITS) | self.starts;
        self.starts += 1;
        self.state = State::Running { attempt, on };
        attempt
    }

    /// Starts beyond the first.
    pub(crate) const fn retries(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    pub(crate) fn is_running(&self, attempt: u32, on: &Life) -> bool {
        matches!(&self.state, State::Running { attempt: a, on: o } if *a == attempt && o == on)
    }

    pub(crate) fn is_done_by(&self, attempt: u32, on: &Life) -> bool {
        matches!(&self.state, State::Done { attempt: a, on: o, .. } if *a == attempt && o == on)
    }

    /// Records that the running attempt came to nothing and says when the next may start.
    pub(crate) fn set_back(
        &mut self,
        setback: Setback,
        now: Millis,
        worker: &NodeId,
        max_attempts: u32,
        policy: &Policy,
    ) -> Result<Millis, Exhausted> {
        let pause = match setback {
            Setback::Failure => {
                self.failures += 1;
                self.avoid.insert(worker.clone());
                policy.backoff(self.failures)
            }
            Setback::Fetch => {
                self.fetch_failures += 1;
                if self.fetch_failures > 1 {
                    // One missing output is its producer's fault; a second one may be this worker's network.
                    self.avoid.insert(worker.clone());
                }
                policy.backoff(self.fetch_failures)
            }
            Setback::Undelivered => 0,
        };
        let given_up =
            self.failures >= max_attempts || self.fetch_failures > policy.max_fetch_failures || self.starts >= policy.max_starts;
        if given_up { Err(Exhausted) } else { Ok(now + pause) }
    }

    /// Keeps its next attempt away from a worker, when there are others.
    pub(crate) fn avoid(&mut self, worker: NodeId) {
        self.avoid.insert(worker);
    }

    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) const fn fetch_failures(&self) -> u32 {
        self.fetch_failures
    }
}
