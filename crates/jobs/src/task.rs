//! One unit of work over all its attempts: a partition of a stage, or the planning of a job.

use std::collections::BTreeSet;

use api::NodeId;
use api::task::TaskProgress;

use crate::save::{AttemptEnd, AttemptRecord, DoneRecord, TaskRecord};
use crate::worker::Life;
use crate::{Millis, Policy, attempt};

/// Attempts remembered of one task.
const HISTORY: usize = 12;
/// Longest error text that is kept, bytes.
pub(crate) const MAX_ERROR: usize = 1024;

/// Where a unit of work stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// To be started, not before a time.
    Pending { from: Millis },
    /// Workers have it: one, or two when a twin races with the first.
    Running(Vec<Live>),
    /// Its output is on that worker (or, for the last stage, in our hands).
    Done(Box<DoneRecord>),
    /// It was done, its output is gone, and so far nobody reads it.
    Lost,
}

/// A running attempt.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) attempt: u32,
    pub(crate) on: Life,
    pub(crate) since: Millis,
    pub(crate) progress: TaskProgress,
}

/// Why an attempt came to nothing; decides what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The attempt failed or died with its worker: one of its attempts is used up.
    Failure,
    /// The same, and the worker is gone.
    WorkerLost,
    /// An input was missing, which is not the reader's fault.
    Fetch,
    /// It needs more memory.
    Memory,
    /// It never arrived at the worker.
    Undelivered,
}

/// What follows a setback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt, not before a time.
    Retry(Millis),
    /// Its twin is running still.
    Twin,
    /// No worker's memory is enough for it: the job must be planned with smaller tasks.
    Smaller,
    /// Its attempts are used up.
    GivenUp,
}

/// A unit of work.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) state: State,
    /// Whether it needs a worker of its own.
    pub(crate) alone: bool,
    /// Version of the job that has its latest change.
    pub(crate) version: u64,
    /// Number of the next attempt.
    pub(crate) next: u32,
    starts: u32,
    failures: u32,
    fetch_failures: u32,
    /// Workers on which it failed: elsewhere first.
    pub(crate) avoid: BTreeSet<NodeId>,
    history: Vec<AttemptRecord>,
}

impl Task {
    /// A task whose attempts are numbered from `base`.
    pub(crate) const fn new(now: Millis, base: u32) -> Self {
        Self {
            state: State::Pending { from: now },
            alone: false,
            version: 0,
            next: base,
            starts: 0,
            failures: 0,
            fetch_failures: 0,
            avoid: BTreeSet::new(),
            history: Vec::new(),
        }
    }

    /// What is durable of a task; its state is the caller's to decide.
    pub(crate) fn restored(record: TaskRecord, base: u32) -> Self {
        let ended = |mut attempt: AttemptRecord| {
            if attempt.end == AttemptEnd::Running {
                attempt.end = AttemptEnd::Lost;
            }
            attempt
        };
        Self {
            state: record.done.map_or(State::Lost, |done| State::Done(Box::new(done))),
            alone: record.alone,
            version: 0,
            next: base,
            starts: record.starts,
            failures: record.failures,
            fetch_failures: record.fetch_failures,
            avoid: BTreeSet::new(),
            history: record.attempts.into_iter().map(ended).collect(),
        }
    }

    /// What of it is made durable; nothing before its first start.
    pub(crate) fn record(&self, partition: u32) -> Option<TaskRecord> {
        let live = self.live().iter().map(|live| AttemptRecord {
            attempt: live.attempt,
            worker: live.on.worker.clone(),
            started_at_ms: live.since,
            ended_at_ms: None,
            end: AttemptEnd::Running,
            rows: live.progress.rows,
            bytes: live.progress.bytes,
            error: None,
        });
        (self.starts > 0 || !self.history.is_empty()).then(|| TaskRecord {
            partition,
            done: if let State::Done(done) = &self.state {
                Some((**done).clone())
            } else {
                None
            },
            starts: self.starts,
            failures: self.failures,
            fetch_failures: self.fetch_failures,
            alone: self.alone,
            attempts: self.history.iter().cloned().chain(live).collect(),
        })
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

    /// Gives it to a worker, as a new attempt of `run`, beside the one that is running.
    pub(crate) fn start(&mut self, run: u32, on: Life, now: Millis) -> u32 {
        let attempt = attempt::full(run, self.next);
        self.next += 1;
        self.starts += 1;
        self.push(attempt, on, now);
        attempt
    }

    /// Takes in an attempt that an earlier leader gave out.
    pub(crate) fn adopt(&mut self, attempt: u32, on: Life, now: Millis) {
        self.starts = self.starts.max(1);
        self.history.retain(|known| known.attempt != attempt);
        self.push(attempt, on, now);
    }

    fn push(&mut self, attempt: u32, on: Life, since: Millis) {
        let live = Live {
            attempt,
            on,
            since,
            progress: TaskProgress::default(),
        };
        match &mut self.state {
            State::Running(all) => all.push(live),
            state => *state = State::Running(vec![live]),
        }
    }

    /// Attempts that run.
    pub(crate) fn live(&self) -> &[Live] {
        if let State::Running(all) = &self.state { all } else { &[] }
    }

    pub(crate) fn live_mut(&mut self, attempt: u32) -> Option<&mut Live> {
        match &mut self.state {
            State::Running(all) => all.iter_mut().find(|live| live.attempt == attempt),
            _ => None,
        }
    }

    /// Starts beyond the first.
    pub(crate) const fn retries(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    pub(crate) fn is_running(&self, attempt: u32, on: &Life) -> bool {
        self.live().iter().any(|live| live.attempt == attempt && live.on == *on)
    }

    pub(crate) fn is_done_by(&self, attempt: u32, on: &Life) -> bool {
        matches!(&self.state, State::Done(done) if done.attempt == attempt && done.worker == on.worker && done.boot == on.boot)
    }

    /// Whether an attempt is known to have ended.
    pub(crate) fn has_ended(&self, attempt: u32) -> bool {
        self.history
            .iter()
            .any(|known| known.attempt == attempt && known.end != AttemptEnd::Lost)
    }

    /// The running attempt won.
    pub(crate) fn complete(&mut self, done: DoneRecord, now: Millis) {
        self.end_others(done.attempt, now);
        let (rows, bytes) = (done.output.rows, done.output.bytes);
        if let Some(live) = self.take(done.attempt) {
            self.remember(&live, AttemptEnd::Done, (rows, bytes), None, now);
        }
        self.state = State::Done(Box::new(done));
    }

    /// Takes it from everybody and makes it start anew, not before a time.
    pub(crate) fn reopen(&mut self, from: Millis, now: Millis) {
        self.end_others(u32::MAX, now);
        self.state = State::Pending { from };
    }

    fn end_others(&mut self, winner: u32, now: Millis) {
        let losers: Vec<u32> = self
            .live()
            .iter()
            .map(|live| live.attempt)
            .filter(|attempt| *attempt != winner)
            .collect();
        for attempt in losers {
            if let Some(live) = self.take(attempt) {
                let written = (live.progress.rows, live.progress.bytes);
                self.remember(&live, AttemptEnd::Cancelled, written, None, now);
            }
        }
    }

    /// Records that a running attempt came to nothing and says what follows. The state is [`State::Pending`] after a retry.
    pub(crate) fn set_back(
        &mut self,
        attempt: u32,
        setback: Setback,
        now: Millis,
        (max_attempts, limit): (u32, u32),
        why: &str,
        policy: &Policy,
    ) -> Next {
        let Some(live) = self.take(attempt) else { return Next::Twin };
        let worker = live.on.worker.clone();
        let was_alone = self.alone;
        let (end, pause) = match setback {
            Setback::Failure | Setback::WorkerLost => {
                self.failures += 1;
                self.avoid.insert(worker);
                let end = if setback == Setback::Failure {
                    AttemptEnd::Failed
                } else {
                    AttemptEnd::Lost
                };
                (end, policy.backoff(self.failures))
            }
            Setback::Fetch => {
                self.fetch_failures += 1;
                if self.fetch_failures > 1 {
                    // One missing output is its producer's fault; a second one may be this worker's network.
                    self.avoid.insert(worker);
                }
                (AttemptEnd::FetchFailed, policy.backoff(self.fetch_failures))
            }
            Setback::Memory => {
                self.alone = true;
                (AttemptEnd::OutOfMemory, 0)
            }
            Setback::Undelivered => (AttemptEnd::Lost, 0),
        };
        let written = (live.progress.rows, live.progress.bytes);
        self.remember(&live, end, written, Some(why), now);
        if setback == Setback::Memory && was_alone {
            return Next::Smaller;
        }
        let given_up = self.failures >= max_attempts
            || self.fetch_failures > policy.max_fetch_failures
            || self.starts >= policy.max_starts
            || self.next >= limit;
        if given_up {
            return Next::GivenUp;
        }
        if !self.live().is_empty() {
            return Next::Twin;
        }
        self.state = State::Pending { from: now + pause };
        Next::Retry(now + pause)
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

    fn take(&mut self, attempt: u32) -> Option<Live> {
        let State::Running(all) = &mut self.state else { return None };
        let position = all.iter().position(|live| live.attempt == attempt)?;
        Some(all.remove(position))
    }

    fn remember(&mut self, live: &Live, end: AttemptEnd, (rows, bytes): (u64, u64), error: Option<&str>, now: Millis) {
        if self.history.len() == HISTORY {
            self.history.remove(0);
        }
        self.history.push(AttemptRecord {
            attempt: live.attempt,
            worker: live.on.worker.clone(),
            started_at_ms: live.since,
            ended_at_ms: Some(now),
            end,
            rows,
            bytes,
            error: error.map(shortened),
        });
    }
}

/// The beginning of a text, as much as is kept.
pub(crate) fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ERROR)].to_owned()
}
