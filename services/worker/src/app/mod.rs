//! What a worker does when it is told to.

mod compute;
mod execute;
mod fetch;
mod input;
mod keys;
mod leader;
mod plans;
mod results;
mod running;
mod trace;

use std::io;
use std::sync::Arc;

use api::JobId;
use api::job::Cost;
use api::member::Member;
use api::task::{Outcome, PollResponse, TaskId, WorkId};
use blobs::BlobStore;
use cluster::View;
use futures::{Stream, StreamExt};
use query::{Engine, ShuffleDir, ShufflePart, ShuffleSource};
use tokio::sync::RwLock;
use transport::Traced;
use transport::peer::PeerClient;

pub(crate) use compute::Compute;
use execute::Executor;
use fetch::Shuffle;
pub(crate) use input::InputBlobs;
pub(crate) use keys::Keys;
use leader::{LeaderClient, Load};
use plans::Plans;
use results::Results;
use running::Running;

use crate::metrics::WorkerMetrics;

/// What a worker is made of.
pub(crate) struct Dependencies {
    pub(crate) me: Member,
    pub(crate) slots: u32,
    pub(crate) engine: Engine,
    pub(crate) shuffle: ShuffleDir,
    pub(crate) compute: Compute,
    pub(crate) peers: PeerClient,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) view: Arc<View>,
    pub(crate) metrics: WorkerMetrics,
}

/// The worker behind its listener and its poll.
#[derive(Debug)]
pub(crate) struct Worker {
    leader: LeaderClient,
    running: Running,
    executor: Executor,
    shuffle: ShuffleDir,
    metrics: WorkerMetrics,
}

impl Worker {
    pub(crate) fn new(parts: Dependencies) -> Arc<Self> {
        let Dependencies {
            me,
            slots,
            engine,
            shuffle,
            compute,
            peers,
            blobs,
            view,
            metrics,
        } = parts;
        let results = Results::new(blobs);
        let source = Shuffle::new(
            me.address.clone(),
            shuffle.clone(),
            peers.clone(),
            metrics.shuffle_fetched.clone(),
        );
        let leader = LeaderClient::new(peers, view, me, slots);
        let executor = Executor {
            engine,
            compute,
            plans: Plans::new(leader.clone()),
            source: Arc::new(source),
            shuffle: shuffle.clone(),
            results,
            metrics: metrics.clone(),
            memory: RwLock::default(),
        };
        Arc::new(Self {
            leader,
            running: Running::new(metrics.slots_in_use.clone()),
            executor,
            shuffle,
            metrics,
        })
    }

    pub(crate) const fn leader(&self) -> &LeaderClient {
        &self.leader
    }

    /// What the leader is told with every poll.
    pub(crate) fn load(&self) -> Load {
        let (running, progress) = self.running.list();
        Load {
            running,
            progress,
            memory_limit: self.executor.engine.memory_limit() as u64,
            memory_used: self.executor.engine.memory_used() as u64,
        }
    }

    /// Does what the leader says. Returns at once; work goes on by itself.
    pub(crate) fn obey(self: &Arc<Self>, orders: PollResponse) {
        for work in &orders.cancel {
            self.running.cancel(work);
        }
        for job in orders.forget {
            self.forget(job);
        }
        for assignment in orders.start {
            let work = assignment.work();
            let Some((progress, cancel)) = self.running.begin(work) else {
                tracing::debug!(?work, "told twice to start the same work");
                continue;
            };
            let worker = Arc::clone(self);
            let traced = trace::Work::begin(worker.leader.tracer(), orders.traces.get(&work.job()), &work);
            tokio::spawn(async move {
                let started = std::time::Instant::now();
                let execution = worker.executor.execute(assignment, Arc::clone(&progress), cancel.clone());
                let outcome = Traced::scope_of(traced.request(), execution).await;
                traced.end(&outcome, cancel.is_cancelled());
                let wasted = match outcome {
                    Outcome::Failed(_) => progress.cost(),
                    Outcome::Planned(_) | Outcome::Done(_) => Cost::default(),
                };
                worker.running.computed(&work);
                worker.metrics.duration.observe(started.elapsed().as_secs_f64());
                let result = if cancel.is_cancelled() { "cancelled" } else { label(&outcome) };
                worker.metrics.tasks.with_label_values(&[result]).inc();
                tokio::select! {
                    () = cancel.cancelled() => {}
                    forget = worker.leader.report(work, outcome, wasted) => if forget { worker.forget(job_of(&work)) },
                }
                worker.running.end(&work);
            });
        }
    }

    /// An output of a task that ran here: its size and its bytes.
    pub(crate) async fn open_output(
        &self,
        task: &TaskId,
        output: u32,
    ) -> io::Result<(u64, impl Stream<Item = io::Result<bytes::Bytes>> + Send + 'static)> {
        let bytes = tokio::fs::metadata(self.shuffle.file(task, output)).await?.len();
        let TaskId {
            job,
            stage,
            partition,
            attempt,
        } = *task;
        let stream = self
            .shuffle
            .open(&ShufflePart {
                job,
                stage,
                partition,
                attempt,
                output,
                address: String::new(),
            })
            .await?;
        let served = self.metrics.shuffle_served.clone();
        Ok((
            bytes,
            stream.inspect(move |chunk| served.inc_by(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64))),
        ))
    }

    /// Ends all work; nobody wants its reports any more.
    pub(crate) fn cancel_all(&self) {
        self.running.cancel_all();
    }

    fn forget(&self, job: JobId) {
        self.running.cancel_job(job);
        self.executor.plans.forget(job);
        let shuffle = self.shuffle.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = shuffle.forget(job) {
                tracing::warn!(%job, %error, "shuffle files could not be removed; they go when the worker starts again");
            }
        });
    }
}

pub(crate) const fn job_of(work: &WorkId) -> JobId {
    match work {
        WorkId::Plan(job, _) => *job,
        WorkId::Task(task) => task.job,
    }
}

pub(super) const fn label(outcome: &Outcome) -> &'static str {
    use api::task::TaskFailure;
    match outcome {
        Outcome::Planned(_) => "planned",
        Outcome::Done(_) => "done",
        Outcome::Failed(TaskFailure::User { .. }) => "user_error",
        Outcome::Failed(TaskFailure::Fetch { .. }) => "fetch_failed",
        Outcome::Failed(TaskFailure::OutOfMemory(_)) => "out_of_memory",
        Outcome::Failed(TaskFailure::Retryable(_)) => "failed",
    }
}
