//! The one task that owns the scheduler: everything that happens to jobs passes through here, in order.

mod writes;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use api::task::{PollResponse, Report, ReportResponse, StageGraph};
use api::{JobId, Problem};
use control::Revision;
use jobs::{CancelError, Command, Heard, JobRecord, Millis, Scheduler};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, warn};

use super::Message;
use super::clock::Clock;
use super::deliver::{self, Context, Delivered};
use super::ledger::Ledger;
use super::pages::{Cancelled, Page, Write, durable};
use super::parked::Parked;
use super::sweep::Swept;
use super::takeover::Unfinished;
use super::trouble::Trouble;
use crate::app::jobs::quotas::Stored;
use crate::app::jobs::{Error, Jobs};

/// Precision of the scheduler's clock: backoffs, time-outs, held-back polls, writes behind.
const TICK: Duration = Duration::from_millis(100);
/// Messages taken in before their consequences are carried out.
const BATCH: usize = 64;

/// Owns the scheduler for one term.
pub(super) struct Actor {
    jobs: Jobs,
    scheduler: Scheduler,
    clock: Clock,
    ledger: Ledger,
    inbox: mpsc::Receiver<Message>,
    parked: Parked,
    deliveries: JoinSet<Delivered>,
    pages: HashMap<JobId, Page>,
    writes: JoinSet<Write>,
    trouble: Trouble,
    sweeps: JoinSet<Result<Swept, Error>>,
    next_sweep: Millis,
    /// Ended jobs that are kept, by namespace.
    stored: BTreeMap<String, Stored>,
    dry_runs: HashMap<JobId, oneshot::Sender<Result<StageGraph, Problem>>>,
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
            deliveries: JoinSet::new(),
            pages: HashMap::new(),
            writes: JoinSet::new(),
            trouble: Trouble::default(),
            sweeps: JoinSet::new(),
            next_sweep: 0,
            stored: BTreeMap::new(),
            dry_runs: HashMap::new(),
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
        }
    }

    /// Takes on a job whose record is durable; one it has, or had, stays as it is.
    pub(super) fn adopt(&mut self, record: JobRecord, revision: Revision) {
        if self.open_page(record.id, revision) {
            self.scheduler.submit(self.clock.now(), record);
        }
    }

    /// Goes on with a job of another leader.
    pub(super) fn resume(&mut self, unfinished: Unfinished) {
        let Unfinished {
            record,
            revision,
            planned,
        } = unfinished;
        if self.open_page(record.id, revision) {
            self.scheduler.resume(self.clock.now(), record, planned);
        }
    }

    fn open_page(&mut self, job: JobId, revision: Revision) -> bool {
        if self.pages.contains_key(&job) || self.ended.contains(&job) {
            return false;
        }
        self.pages.insert(
            job,
            Page {
                revision,
                ..Page::default()
            },
        );
        true
    }

    /// Works until nobody can reach it any more, or the store says that the term is over.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                Some(delivered) = self.deliveries.join_next() => {
                    match delivered {
                        Ok(delivered) => self.delivered(delivered),
                        Err(error) => error!(%error, "an order died on its way; its work will be found missing"),
                    }
                    Ok(())
                }
                Some(swept) = self.sweeps.join_next() => {
                    self.swept(swept.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string()))));
                    Ok(())
                }
                _ = ticks.tick() => {
                    self.tick();
                    Ok(())
                }
            };
            if let Err(Deposed) = going_on {
                return warn!("another leader rules, says the control store; the term is over");
            }
            self.obey();
            self.serve();
            self.obey();
            let now = self.clock.now();
            self.jobs.inner.metrics.live(&self.scheduler.figures(now));
            self.jobs.leave_out(self.scheduler.shunned(now));
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        self.parked.touch(now, &mut self.scheduler);
        self.scheduler.tick(now);
        let given_up = self
            .dry_runs
            .iter()
            .filter(|(_, answer)| answer.is_closed())
            .map(|(job, _)| *job);
        for job in given_up.collect::<Vec<_>>() {
            self.scheduler.cancel(now, job).ok();
        }
        let due = self.pages.iter().filter(|(_, page)| page.is_due(now)).map(|(job, _)| *job);
        due.collect::<Vec<_>>().into_iter().for_each(|job| self.write(job));
        if self.next_sweep <= now && self.sweeps.is_empty() {
            let (jobs, ledger) = (self.jobs.clone(), self.ledger.clone());
            self.next_sweep = now + self.jobs.sweep_interval();
            self.sweeps.spawn(async move { jobs.sweep(&ledger).await });
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
            Message::Admit(namespace, answer) => {
                answer.send(self.refuses(&namespace)).ok();
            }
            Message::Adopt(record, revision) => self.adopt(*record, revision),
            Message::DryRun(record, answer) => {
                self.dry_runs.insert(record.id, answer);
                self.scheduler.dry_run(now, *record);
            }
            Message::Cancel(job, answer) => self.cancel(job, answer),
            Message::Poll(poll, answer) => {
                self.scheduler.poll(now, &poll);
                self.parked.add(now, poll, answer);
            }
            Message::Report(report, answer) => self.report(*report, answer),
            Message::StagePlan(job, stage, answer) => {
                answer.send(self.scheduler.stage_plan(job, stage)).ok();
            }
        }
    }

    fn refuses(&self, namespace: &str) -> Option<String> {
        let stored = self.stored.get(namespace).copied().unwrap_or_default();
        let load = self.scheduler.load(namespace);
        self.jobs.inner.quotas.refuses(namespace, load, stored)
    }

    /// A worker that is not told that its report is durable sends it again.
    fn report(&mut self, report: Report, answer: oneshot::Sender<ReportResponse>) {
        let job = report.work.job();
        let heard = self.scheduler.report(self.clock.now(), report);
        let response = match (heard, self.scheduler.version(job), self.pages.get_mut(&job)) {
            (Heard::Taken, Some(version), Some(page)) => {
                page.held.push((version, answer));
                return;
            }
            (Heard::Taken | Heard::Forget, ..) => durable(true),
            (Heard::Known, ..) => durable(false),
            (Heard::Later, ..) => ReportResponse::default(),
        };
        answer.send(response).ok();
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
        let now = self.clock.now();
        for command in self.scheduler.drain() {
            match command {
                Command::Persist(job) => {
                    if let Some(page) = self.pages.get_mut(&job) {
                        page.touch(now);
                    }
                }
                Command::Planned(job) => {
                    let jobs = &self.jobs;
                    self.scheduler.locate(now, job, |blob| jobs.hosts_of(blob));
                }
                Command::Finish(ending) => {
                    let job = ending.record.id;
                    if let Some(page) = self.pages.get_mut(&job) {
                        page.ending = Some(ending);
                    }
                    self.write(job);
                }
                Command::DryRan(job, plan) => {
                    if let Some(answer) = self.dry_runs.remove(&job) {
                        answer.send(plan.map(|graph| *graph)).ok();
                    }
                }
                Command::TaskEnded(result) => self.jobs.inner.metrics.task_ended(result),
                Command::HandedOut(waited) => self.jobs.inner.metrics.handed_out(waited),
                Command::TwinStarted => self.jobs.inner.metrics.twin_started(),
            }
        }
    }

    /// Answers the polls for which there is something to say.
    fn serve(&mut self) {
        let now = self.clock.now();
        for answer in self.parked.serve(now, &mut self.scheduler) {
            let contexts = self.incomplete(&answer.response);
            if contexts.is_empty() {
                self.delivered(deliver::send(answer));
            } else {
                self.deliveries.spawn(deliver::complete(self.jobs.clone(), answer, contexts));
            }
        }
    }

    fn incomplete(&mut self, response: &PollResponse) -> Vec<Context> {
        let scheduler = std::cell::RefCell::new(&mut self.scheduler);
        deliver::incomplete(response, |job| {
            let mut scheduler = scheduler.borrow_mut();
            scheduler.record(job).map(|record| Context {
                job,
                namespace: record.namespace.clone(),
                output: record.spec.output.clone(),
            })
        })
    }

    fn delivered(&mut self, delivered: Delivered) {
        let now = self.clock.now();
        if !delivered.lost.is_empty() {
            self.scheduler.undelivered(now, &delivered.worker, &delivered.lost);
        }
        for report in delivered.failed {
            self.scheduler.report(now, report);
        }
    }

    fn swept(&mut self, outcome: Result<Swept, Error>) {
        match outcome {
            Ok(Swept { live, stored, next }) => {
                self.stored = stored;
                // Ends that became durable meanwhile are counted by the next round.
                self.next_sweep = self.next_sweep.min(next.unwrap_or(Millis::MAX));
                live.into_iter().for_each(|(record, revision)| self.adopt(record, revision));
            }
            Err(error) => debug!(%error, "the records could not be swept now"),
        }
    }
}
