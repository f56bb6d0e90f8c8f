//! The one task that owns the scheduler: everything that happens to jobs passes through here, in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use api::JobId;
use control::Revision;
use jobs::{CancelError, Command, Ending, JobRecord, Scheduler};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use super::Message;
use super::clock::Clock;
use super::ledger::{Ledger, Written};
use super::parked::Parked;
use crate::app::jobs::{Error, Jobs, metrics};

/// Precision of the scheduler's clock: backoffs, time-outs, held-back polls.
const TICK: Duration = Duration::from_millis(100);
/// How far the record of a running job may lag behind.
const WRITE_BEHIND: Duration = Duration::from_millis(500);
/// Messages taken in before their consequences are carried out.
const BATCH: usize = 64;
/// Longest text of a plan that is kept, bytes.
const MAX_PLAN_TEXT: usize = 256 * 1024;
/// Ended jobs remembered, so that a reader of their old record cannot start them again.
const REMEMBERED: usize = 16_384;

/// A write of a record that has come to its end, done or not.
struct Write {
    job: JobId,
    /// Whether it was the end of the job.
    is_end: bool,
    plan: Option<String>,
    outcome: Result<Written, Error>,
}

type Cancelled = oneshot::Sender<Result<JobRecord, CancelError>>;

/// The records of live jobs, as far as they are written.
#[derive(Debug, Default)]
struct Page {
    revision: Revision,
    /// A write is under way; the next one waits for it.
    writing: bool,
    /// The record in memory is newer.
    dirty: bool,
    /// The text of the plan, not written yet.
    plan: Option<String>,
    /// The end, not written yet.
    ending: Option<Box<Ending>>,
    /// Who waits for the end.
    cancelled: Vec<Cancelled>,
}

/// Owns the scheduler for one term.
pub(super) struct Actor {
    jobs: Jobs,
    scheduler: Scheduler,
    clock: Clock,
    ledger: Ledger,
    inbox: mpsc::Receiver<Message>,
    parked: Parked,
    pages: HashMap<JobId, Page>,
    writes: JoinSet<Write>,
    sweeps: JoinSet<Result<Vec<(JobRecord, Revision)>, Error>>,
    ended: HashSet<JobId>,
    ended_order: VecDeque<JobId>,
}

/// The term is over: the store says that another leader rules.
struct Deposed;

impl Actor {
    pub(super) fn new(jobs: Jobs, scheduler: Scheduler, clock: Clock, ledger: Ledger, inbox: mpsc::Receiver<Message>) -> Self {
        Self {
            jobs,
            scheduler,
            clock,
            ledger,
            inbox,
            parked: Parked::default(),
            pages: HashMap::new(),
            writes: JoinSet::new(),
            sweeps: JoinSet::new(),
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
        }
    }

    /// Takes on a job whose record is durable; one it has, or had, stays as it is.
    pub(super) fn adopt(&mut self, record: JobRecord, revision: Revision) {
        if !self.pages.contains_key(&record.id) && !self.ended.contains(&record.id) {
            self.pages.insert(
                record.id,
                Page {
                    revision,
                    ..Page::default()
                },
            );
            self.scheduler.submit(self.clock.now(), record);
        }
    }

    /// Works until nobody can reach it any more, or the store says that the term is over.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        let mut flushes = interval(WRITE_BEHIND);
        let mut rounds = interval(self.jobs.sweep_interval());
        for timer in [&mut ticks, &mut flushes, &mut rounds] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            let going_on = tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take_in(message),
                    None => return,
                },
                Some(written) = self.writes.join_next() => match written {
                    Ok(write) => self.written(write),
                    Err(error) => return error!(%error, "a write of a job's record died; the term begins anew"),
                },
                Some(swept) = self.sweeps.join_next() => {
                    self.swept(swept.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string()))));
                    Ok(())
                }
                _ = ticks.tick() => {
                    let now = self.clock.now();
                    self.parked.touch(now, &mut self.scheduler);
                    self.scheduler.tick(now);
                    Ok(())
                }
                _ = flushes.tick() => {
                    self.flush();
                    Ok(())
                }
                _ = rounds.tick() => {
                    self.sweep();
                    Ok(())
                }
            };
            if let Err(Deposed) = going_on {
                return warn!("another leader rules, says the control store; the term is over");
            }
            self.obey();
            self.parked.serve(self.clock.now(), &mut self.scheduler);
            self.obey();
            self.jobs
                .inner
                .metrics
                .live(self.scheduler.live_jobs(), self.scheduler.live_workers());
        }
    }

    fn take_in(&mut self, message: Message) -> Result<(), Deposed> {
        self.hear(message);
        for _ in 1..BATCH {
            let Ok(message) = self.inbox.try_recv() else { break };
            self.hear(message);
        }
        Ok(())
    }

    fn hear(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Adopt(record, revision) => self.adopt(*record, revision),
            Message::Cancel(job, answer) => self.cancel(job, answer),
            Message::Poll(poll, answer) => {
                self.scheduler.poll(now, &poll);
                self.parked.add(now, poll, answer);
            }
            Message::Report(report, answer) => {
                let response = self.scheduler.report(now, *report);
                // A worker that has left reports again.
                answer.send(response).ok();
            }
            Message::StagePlan(job, stage, answer) => {
                answer.send(self.scheduler.stage_plan(job, stage)).ok();
            }
        }
    }

    fn cancel(&mut self, job: JobId, answer: Cancelled) {
        let outcome = self.scheduler.cancel(self.clock.now(), job);
        match (outcome, self.pages.get_mut(&job)) {
            (Ok(()) | Err(CancelError::Ending), Some(page)) => page.cancelled.push(answer),
            (outcome, _) => {
                let why = outcome.err().unwrap_or(CancelError::NotLive);
                answer.send(Err(why)).ok();
            }
        }
    }

    /// Carries out what the scheduler decided.
    fn obey(&mut self) {
        for command in self.scheduler.drain() {
            match command {
                Command::Persist(job) => {
                    if let Some(page) = self.pages.get_mut(&job) {
                        page.dirty = true;
                    }
                }
                Command::Planned { job, mut text } => {
                    text.truncate(text.floor_char_boundary(MAX_PLAN_TEXT));
                    if let Some(page) = self.pages.get_mut(&job) {
                        page.plan = Some(text);
                    }
                }
                Command::Finish(ending) => {
                    let job = ending.record.id;
                    if let Some(page) = self.pages.get_mut(&job) {
                        page.ending = Some(ending);
                    }
                    self.write(job);
                }
                Command::TaskEnded(result) => self.jobs.inner.metrics.task_ended(result),
            }
        }
    }

    fn flush(&mut self) {
        let due: Vec<JobId> = self
            .pages
            .iter()
            .filter(|(_, page)| page.dirty || page.ending.is_some())
            .map(|(job, _)| *job)
            .collect();
        for job in due {
            self.write(job);
        }
    }

    /// Writes what is newer in memory, unless a write is under way: then the end of that one starts the next.
    fn write(&mut self, job: JobId) {
        let Some(page) = self.pages.get_mut(&job).filter(|page| !page.writing) else {
            return;
        };
        let (record, parts) = match (&page.ending, self.scheduler.record(job)) {
            (Some(ending), _) => (ending.record.clone(), ending.parts.clone()),
            (None, Some(record)) if page.dirty => (record.clone(), Vec::new()),
            _ => return,
        };
        page.writing = true;
        page.dirty = false;
        let (plan, replaces, ledger) = (page.plan.take(), page.revision, self.ledger.clone());
        let is_end = page.ending.is_some();
        self.writes.spawn(async move {
            let outcome = ledger.write(&record, replaces, &parts, plan.as_deref()).await;
            Write {
                job,
                is_end,
                plan,
                outcome,
            }
        });
    }

    fn written(&mut self, write: Write) -> Result<(), Deposed> {
        let Write {
            job,
            is_end,
            plan,
            outcome,
        } = write;
        let Some(page) = self.pages.get_mut(&job) else { return Ok(()) };
        page.writing = false;
        match outcome {
            Ok(Written::At(_) | Written::Final) if is_end => self.ended(job),
            Ok(Written::At(revision)) => {
                page.revision = revision;
                if page.ending.is_some() {
                    self.write(job);
                }
            }
            Ok(Written::Behind(revision)) => {
                page.revision = revision;
                page.dirty = true;
                page.plan = page.plan.take().or(plan);
                self.write(job);
            }
            Ok(Written::Final | Written::Deposed) => return Err(Deposed),
            Err(error) => {
                // The next flush tries again; until then the job has not ended for anybody.
                warn!(%job, %error, "a job's record cannot be written now");
                page.dirty = true;
                page.plan = page.plan.take().or(plan);
            }
        }
        Ok(())
    }

    /// The end of a job is durable: now it may be told.
    fn ended(&mut self, job: JobId) {
        let Some(Page {
            ending: Some(ending),
            cancelled,
            ..
        }) = self.pages.remove(&job)
        else {
            return;
        };
        let record = ending.record;
        self.scheduler.finished(self.clock.now(), job);
        let took = record
            .finished_at_ms
            .unwrap_or_default()
            .saturating_sub(record.submitted_at_ms);
        info!(%job, state = metrics::state_name(record.state), took_ms = took, "a job ended");
        self.jobs.inner.metrics.job_ended(record.state, Duration::from_millis(took));
        for answer in cancelled {
            answer.send(Ok(record.clone())).ok();
        }
        self.ended.insert(job);
        self.ended_order.push_back(job);
        if self.ended_order.len() > REMEMBERED
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    fn sweep(&mut self) {
        if self.sweeps.is_empty() {
            let (jobs, ledger) = (self.jobs.clone(), self.ledger.clone());
            self.sweeps.spawn(async move { jobs.sweep(&ledger).await });
        }
    }

    fn swept(&mut self, outcome: Result<Vec<(JobRecord, Revision)>, Error>) {
        match outcome {
            Ok(live) => live.into_iter().for_each(|(record, revision)| self.adopt(record, revision)),
            Err(error) => debug!(%error, "the records could not be swept now"),
        }
    }
}
