//! Removing blobs that nothing names any more: what broken uploads and lost attempts left, and what was replaced or removed.
//!
//! One round, on the master that leads: list all blobs, *then* read what covers them — intents first, manifests and jobs after
//! them, because a blob goes from an intent to a manifest and never back. A blob that nothing covered in every round for as long as
//! the grace is removed. Rounds forget what they saw when another master leads, so a mistake would have to last.

mod cover;
mod decide;

use std::sync::Arc;
use std::time::Duration;

use blobs::BlobStore;
use cluster::LeaderState;
use control::ControlStore;
use futures::TryStreamExt;
use lifecycle::CancellationToken;
use prometheus::{IntCounter, IntGauge};
use telemetry::{Metrics, Registry};
use tokio::sync::watch;
use tokio::time::Instant;

pub use cover::Cover;
pub use decide::{Seen, decide};

/// Time between rounds, at most.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Why a round was given up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control store failed.
    #[error(transparent)]
    Store(#[from] control::Error),
    /// The store of blobs failed.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// Something that may cover blobs cannot be read, so nothing is removed.
    #[error("{key} cannot be read, and may name blobs: {source}")]
    Unreadable {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Blobs there were.
    pub blobs: u64,
    /// Of which nothing covers so many.
    pub uncovered: u64,
    /// Removed.
    pub removed: u64,
}

/// Collects blobs while this master leads.
#[derive(Debug)]
pub struct Collector {
    store: Arc<dyn ControlStore>,
    blobs: Arc<dyn BlobStore>,
    grace: Duration,
    removed: IntCounter,
    uncovered: IntGauge,
}

impl Collector {
    /// Removes what nothing has named for as long as `grace`.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, blobs: Arc<dyn BlobStore>, grace: Duration, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            store,
            blobs,
            grace,
            removed: metrics.counter("blob_collected_total", "Blobs removed because nothing named them any more."),
            uncovered: metrics.int_gauge(
                "blob_uncovered",
                "Blobs that nothing names, found by the last round of the leader.",
            ),
        }
    }

    /// Goes round after round while this master leads, until `stop`.
    pub async fn run(&self, mut leading: watch::Receiver<LeaderState>, stop: CancellationToken) {
        let collecting = async {
            while leading.wait_for(|state| state.token().is_some()).await.is_ok() {
                tokio::select! {
                    () = self.lead() => {}
                    ended = leading.wait_for(|state| state.token().is_none()) => if ended.is_err() { return },
                }
                self.uncovered.set(0);
            }
        };
        tokio::select! {
            () = collecting => {}
            () = stop.cancelled() => {}
        }
    }

    async fn lead(&self) {
        let mut seen = Seen::new();
        let every = (self.grace / 4).clamp(Duration::from_millis(100), INTERVAL);
        loop {
            tokio::time::sleep(every).await;
            match self.round(&mut seen, Instant::now()).await {
                Ok(round) if round.removed > 0 => tracing::info!(?round, "blobs collected"),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "blobs are not collected now"),
            }
        }
    }

    /// One round.
    ///
    /// # Errors
    /// When not everything could be listed or read: then nothing is removed.
    pub async fn round(&self, seen: &mut Seen, now: Instant) -> Result<Round, Error> {
        let mut names = Vec::new();
        for prefix in cover::PREFIXES {
            let listed = self.blobs.list(prefix).map_ok(|info| info.name);
            names.extend(listed.try_collect::<Vec<_>>().await?);
        }
        let cover = cover::read(&*self.store).await?;
        let doomed = decide(&names, &cover, seen, now, self.grace);
        let mut round = Round {
            blobs: names.len() as u64,
            uncovered: seen.len() as u64,
            removed: 0,
        };
        self.uncovered.set(i64::try_from(round.uncovered).unwrap_or(i64::MAX));
        for name in doomed {
            match self.blobs.delete(&name).await {
                Ok(_) => {
                    round.removed += 1;
                    self.removed.inc();
                    seen.remove(&name);
                }
                Err(error) => tracing::debug!(name, %error, "a blob was not removed; trying again in the next round"),
            }
        }
        Ok(round)
    }
}
