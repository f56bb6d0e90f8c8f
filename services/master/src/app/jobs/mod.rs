//! Jobs: what clients may do with them on any master, and the scheduler on the one that leads.
//!
//! The record in the control store is the truth. Reads come from there on every master, so they survive the leader and are at
//! most a write behind (200 ms) old. Submissions and cancellations go to the leader, which alone decides and writes, every
//! write fenced by its lease.
//!
//! ```text
//!   any master: submit, cancel ──► leader: [accept] ─► record durable ─► Actor(jobs::Scheduler) ◄─ polls, reports of workers
//!               get, list, wait, result ◄── control store ◄── Ledger: progress behind, the end with its result at once
//! ```

mod blobs;
mod datasets;
mod dry_run;
mod error;
mod follow;
mod keys;
mod leader;
mod left_out;
mod limits;
mod metrics;
mod orders;
mod plans;
mod quotas;
mod records;
mod result;
mod saved;
mod tasks;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use ::blobs::BlobStore;
use api::NodeId;
use arc_swap::ArcSwap;
use cluster::{LeaderState, View};
use control::ControlStore;
use telemetry::Registry;
use tokio::sync::watch;
use transport::peer::PeerClient;

pub use datasets::{Commit, DatasetFiles, DatasetOutput, Written};
pub use error::Error;
pub use follow::Follower;
pub(in crate::app) use keys::RECORDS;
pub use orders::Submission;
pub use plans::plan_view;
pub use quotas::Quotas;
pub use records::Listing;
pub use result::{MAX_ROWS_BYTES, ResultStream, has_result};
pub use tasks::TaskListing;

use leader::Seat;
use metrics::JobMetrics;

/// What jobs need from the rest of the master.
#[derive(Debug)]
pub struct Dependencies {
    /// Where records and small results are kept.
    pub store: Arc<dyn ControlStore>,
    /// Whether this master leads, and who does.
    pub leadership: watch::Receiver<LeaderState>,
    /// Members: the workers that are there.
    pub view: Arc<View>,
    /// For the leader.
    pub peers: PeerClient,
    /// Where large results are.
    pub blobs: Arc<dyn BlobStore>,
    /// How long a job waits when there is no worker at all.
    pub worker_wait: Duration,
    /// How long ended jobs and their results are kept, unless they say.
    pub result_ttl: Duration,
    /// What one namespace may have.
    pub quotas: Quotas,
    /// Datasets as tables.
    pub dataset_files: Arc<dyn DatasetFiles>,
    /// Datasets as what jobs write.
    pub dataset_output: Arc<dyn DatasetOutput>,
    /// Where the figures are registered.
    pub registry: Registry,
}

/// Jobs as masters offer them; clones are one.
#[derive(Debug, Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ControlStore>,
    leadership: watch::Receiver<LeaderState>,
    view: Arc<View>,
    peers: PeerClient,
    blobs: Arc<dyn BlobStore>,
    worker_wait: Duration,
    result_ttl: Duration,
    quotas: Quotas,
    dataset_files: Arc<dyn DatasetFiles>,
    dataset_output: Arc<dyn DatasetOutput>,
    metrics: JobMetrics,
    /// The running scheduler, while this master leads.
    seat: watch::Sender<Option<Seat>>,
    /// Workers that its scheduler leaves out.
    left_out: ArcSwap<Vec<NodeId>>,
}

impl Jobs {
    /// Ready for reads; keep [`Jobs::run`] running for all else.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        let Dependencies {
            store,
            leadership,
            view,
            peers,
            blobs,
            worker_wait,
            result_ttl,
            quotas,
            dataset_files,
            dataset_output,
            registry,
        } = dependencies;
        let metrics = JobMetrics::new(&registry);
        let seat = watch::Sender::new(None);
        Self {
            inner: Arc::new(Inner {
                store,
                leadership,
                view,
                peers,
                blobs,
                worker_wait,
                result_ttl,
                quotas,
                dataset_files,
                dataset_output,
                metrics,
                seat,
                left_out: ArcSwap::default(),
            }),
        }
    }

    fn seat(&self) -> Option<Seat> {
        self.inner.seat.borrow().clone()
    }
}
