//! Jobs: what clients may do with them on any master, and the scheduler on the one that leads.
//!
//! The record in the control store is the truth. Reads come from there on every master, so they survive the leader and are at
//! most a progress interval old. Submissions and cancellations go to the leader, which alone decides and writes, every
//! write fenced by its lease.
//!
//! ```text
//!   any master: submit, cancel ──► leader: [accept] ─► record durable ─► Actor(jobs::Scheduler) ◄─ polls, reports of workers
//!               get, list, wait, result ◄── control store ◄── Ledger: progress behind, the end with its result at once
//! ```

mod blobs;
mod error;
mod follow;
mod keys;
mod leader;
mod limits;
mod metrics;
mod orders;
mod records;
mod result;

use std::sync::Arc;
use std::time::Duration;

use ::blobs::BlobStore;
use cluster::LeaderState;
use control::ControlStore;
use telemetry::Registry;
use tokio::sync::watch;
use transport::peer::PeerClient;

pub use error::Error;
pub use follow::Follower;
pub(in crate::app) use keys::RECORDS;
pub use orders::Submission;
pub use records::Listing;
pub use result::{MAX_ROWS_BYTES, ResultStream};

use leader::Seat;
use metrics::JobMetrics;

/// What jobs need from the rest of the master.
#[derive(Debug)]
pub struct Dependencies {
    /// Where records and small results are kept.
    pub store: Arc<dyn ControlStore>,
    /// Whether this master leads, and who does.
    pub leadership: watch::Receiver<LeaderState>,
    /// For the leader.
    pub peers: PeerClient,
    /// Where large results are.
    pub blobs: Arc<dyn BlobStore>,
    /// How long a job waits when there is no worker at all.
    pub worker_wait: Duration,
    /// How long ended jobs and their results are kept.
    pub result_ttl: Duration,
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
    peers: PeerClient,
    blobs: Arc<dyn BlobStore>,
    worker_wait: Duration,
    result_ttl: Duration,
    metrics: JobMetrics,
    /// The running scheduler, while this master leads.
    seat: watch::Sender<Option<Seat>>,
}

impl Jobs {
    /// Ready for reads; keep [`Jobs::run`] running for all else.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        let Dependencies {
            store,
            leadership,
            peers,
            blobs,
            worker_wait,
            result_ttl,
            registry,
        } = dependencies;
        let metrics = JobMetrics::new(&registry);
        let seat = watch::Sender::new(None);
        Self {
            inner: Arc::new(Inner {
                store,
                leadership,
                peers,
                blobs,
                worker_wait,
                result_ttl,
                metrics,
                seat,
            }),
        }
    }

    fn seat(&self) -> Option<Seat> {
        self.inner.seat.borrow().clone()
    }
}
