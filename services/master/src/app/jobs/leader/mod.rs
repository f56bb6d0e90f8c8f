//! The leader's part: one scheduler per term, and the ways to reach it.

mod actor;
mod clock;
mod deliver;
mod ledger;
mod pages;
mod parked;
mod sweep;
mod takeover;
mod trouble;

use api::member::Role;
use api::task::{PollRequest, PollResponse, Report, ReportResponse, StageGraph};
use api::{JobId, Problem};
use bytes::Bytes;
use cluster::{LeaderState, Token};
use jobs::{CancelError, JobRecord, Policy, Scheduler};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::orders::Submission;
use super::{Error, Jobs};
use actor::Actor;
use clock::Clock;
use ledger::Ledger;

pub(in crate::app::jobs) use clock::wall;
pub(in crate::app::jobs) use ledger::Accepted;

/// Messages waiting for the actor; more callers wait at the door.
const MAILBOX: usize = 1024;

/// What the actor can be asked.
#[derive(Debug)]
pub(super) enum Message {
    /// Whether one more job of this namespace may be accepted; else why not.
    Admit(String, oneshot::Sender<Option<String>>),
    /// Have this job planned, and nothing more.
    DryRun(Box<JobRecord>, oneshot::Sender<Result<StageGraph, Problem>>),
    /// Run this job, whose record is durable as written at that revision.
    Adopt(Box<JobRecord>, control::Revision),
    /// End this job; answered when that is durable.
    Cancel(JobId, oneshot::Sender<Result<JobRecord, CancelError>>),
    /// A worker's poll; may be answered much later.
    Poll(PollRequest, oneshot::Sender<PollResponse>),
    /// A worker's report.
    Report(Box<Report>, oneshot::Sender<ReportResponse>),
    /// The encoded plan of a stage.
    StagePlan(JobId, u32, oneshot::Sender<Option<Bytes>>),
}

/// The scheduler of this term, as callers reach it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    mailbox: mpsc::Sender<Message>,
    ledger: Ledger,
}

impl Seat {
    /// Makes a job durable, then has it run.
    pub(super) async fn accept(&self, submission: Submission) -> Result<Accepted, Error> {
        let namespace = submission.namespace.clone();
        if let Some(why) = self.ask(|answer| Message::Admit(namespace, answer)).await? {
            // What was accepted before is not refused when it is sent again.
            let known = match &submission.idempotency_key {
                Some(key) => self.ledger.find(&submission.namespace, key).await?,
                None => None,
            };
            if known.is_none_or(|known| known.spec != submission.spec) {
                return Err(Error::OverQuota(why));
            }
        }
        let (accepted, revision) = self.ledger.accept(submission).await?;
        let (Accepted::New(record) | Accepted::Known(record)) = &accepted;
        if !record.state.is_final() {
            // Should this term end right now, the next leader finds the record.
            self.mailbox
                .send(Message::Adopt(Box::new(record.clone()), revision))
                .await
                .ok();
        }
        Ok(accepted)
    }

    /// Has a job planned.
    pub(super) async fn dry_run(&self, record: JobRecord) -> Result<Result<StageGraph, Problem>, Error> {
        self.ask(|answer| Message::DryRun(Box::new(record), answer)).await
    }

    /// Ends a job.
    pub(super) async fn cancel(&self, job: JobId) -> Result<Result<JobRecord, CancelError>, Error> {
        self.ask(|answer| Message::Cancel(job, answer)).await
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.mailbox.send(message(answer)).await.map_err(|_| Error::NotLeader)?;
        answered.await.map_err(|_| Error::NotLeader)
    }
}

impl Jobs {
    /// A worker's poll; held back up to its `wait_ms` while there is nothing to do.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub async fn poll(&self, poll: PollRequest) -> Result<PollResponse, Error> {
        self.here()?.ask(|answer| Message::Poll(poll, answer)).await
    }

    /// A worker's report.
    ///
    /// # Errors
    /// [`Error::NotLeader`].
    pub async fn report(&self, report: Report) -> Result<ReportResponse, Error> {
        self.here()?.ask(|answer| Message::Report(Box::new(report), answer)).await
    }

    /// The encoded plan of a stage of a running job.
    ///
    /// # Errors
    /// [`Error::NotLeader`]; [`Error::NotFound`] when the job is not running here.
    pub async fn stage_plan(&self, job: JobId, stage: u32) -> Result<Bytes, Error> {
        let plan = self.here()?.ask(|answer| Message::StagePlan(job, stage, answer)).await?;
        plan.ok_or(Error::NotFound(job))
    }

    fn here(&self) -> Result<Seat, Error> {
        self.seat().ok_or(Error::NotLeader)
    }

    /// Whether this master leads, and every change of that.
    pub(crate) fn leadership(&self) -> watch::Receiver<LeaderState> {
        self.inner.leadership.clone()
    }

    /// From now on nobody reaches a scheduler here.
    pub(crate) fn leave_seat(&self) {
        self.inner.seat.send_replace(None);
        self.inner.metrics.live(&jobs::Figures::default());
        self.leave_out(Vec::new());
    }

    /// One term: takes over what is unfinished, then schedules. Returns when the term must begin anew.
    pub(crate) async fn lead(&self, token: Token) {
        let ledger = Ledger::new(std::sync::Arc::clone(&self.inner.store), token);
        let clock = Clock::start();
        let policy = Policy {
            no_worker_timeout: clock::millis(self.inner.worker_wait),
            max_active_per_namespace: self.inner.quotas.running_jobs,
            ..Policy::default()
        };
        let mut scheduler = Scheduler::new(policy, clock.now());
        let unfinished = match takeover::take_over(&ledger).await {
            Ok(unfinished) => unfinished,
            Err(error) => {
                warn!(%error, "the jobs cannot be taken over now; trying again");
                return tokio::time::sleep(takeover::RETRY).await;
            }
        };
        let snapshot = self.inner.view.load();
        scheduler.expect_workers(snapshot.with_role(Role::Worker).map(|worker| worker.id.clone()));
        drop(snapshot);
        info!(unfinished = unfinished.len(), "this master schedules");
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let mut actor = Actor::new(self.clone(), scheduler, clock, ledger.clone(), inbox);
        unfinished.into_iter().for_each(|one| actor.resume(one));
        self.inner.seat.send_replace(Some(Seat { mailbox, ledger }));
        actor.run().await;
    }
}
