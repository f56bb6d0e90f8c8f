//! Routing of operations: stamp once, find the owner, send, and send again where that is safe.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{BootId, Epoch, ErrorCode};
use async_trait::async_trait;
use parking_lot::RwLock;
use prometheus::{HistogramVec, IntCounterVec};
use telemetry::{LATENCY_BUCKETS, Metrics, Registry};
use transport::peer::HeaderValue;
use transport::peer::PeerClient;

use super::batcher::{Carried, Lane, LaneMetrics};
use super::operation::{Answer, Failure, Operation, Outcome, Said};
use super::stamp::Stamps;

/// Time an operation may take, waits for a change of the ring included.
const DEADLINE: Duration = Duration::from_secs(5);
/// Pause before a refused operation is sent again, unless the ring changes sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// The auxiliary that owns a key, as one epoch of the ring says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub node: Arc<str>,
    /// `host:port` of its private listener.
    pub address: String,
    /// The life meant.
    pub(super) boot_header: HeaderValue,
    /// The epoch meant.
    pub(super) epoch_header: HeaderValue,
}

impl Owner {
    /// An owner in one epoch of the ring.
    #[must_use]
    pub fn new(node: &str, address: impl Into<String>, boot: BootId, epoch: Epoch) -> Self {
        let header = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        Self {
            node: node.into(),
            address: address.into(),
            boot_header: header(boot.to_string()),
            epoch_header: header(epoch.to_string()),
        }
    }
}

/// Who owns what, now.
#[async_trait]
pub trait Placement: Debug + Send + Sync {
    /// The owner of a key; none while the ring is empty or its owner's address is not known.
    fn owner(&self, namespace: &str, key: &str) -> Option<Arc<Owner>>;

    /// Whether an owner is still what it was.
    fn is_current(&self, owner: &Owner) -> bool;

    /// Returns when something changed, or later.
    async fn changed(&self);
}

/// The ways to the auxiliaries, by their names.
type Lanes = HashMap<Arc<str>, (Arc<Owner>, Lane)>;

/// Operations of one key, with their places in the batch.
type Chains = HashMap<(Arc<str>, String), Vec<(usize, Operation)>>;

/// The cache as masters offer it.
#[derive(Debug)]
pub struct Cache {
    placement: Arc<dyn Placement>,
    peers: PeerClient,
    stamps: Stamps,
    lanes: RwLock<Lanes>,
    lane_metrics: LaneMetrics,
    operations: IntCounterVec,
    duration: HistogramVec,
}

impl Cache {
    /// A cache over the auxiliaries that `placement` knows.
    #[must_use]
    pub fn new(placement: Arc<dyn Placement>, peers: PeerClient, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            placement,
            peers,
            stamps: Stamps::default(),
            lanes: RwLock::default(),
            lane_metrics: LaneMetrics::new(registry),
            operations: metrics.counters(
                "cache_operations_total",
                "Cache operations of clients.",
                &["operation", "result"],
            ),
            duration: metrics.histograms(
                "cache_request_duration_seconds",
                "Time of a cache operation, from routing to the owner's answer.",
                &["operation"],
                LATENCY_BUCKETS,
            ),
        }
    }

    /// Carries out an operation at its owner.
    ///
    /// # Errors
    /// [`Failure`]: 503 when it was certainly not executed, 504 when that is unknown.
    pub async fn execute(&self, operation: Operation) -> Result<Answer, Failure> {
        let (name, started) = (operation.action.name(), Instant::now());
        let result = self.route(operation, started + DEADLINE).await;
        let label = result.as_ref().map_or("error", |answer| answer.outcome.result());
        self.operations.with_label_values(&[name, label]).inc();
        self.duration
            .with_label_values(&[name])
            .observe(started.elapsed().as_secs_f64());
        result
    }

    /// Carries out many operations, those of one key in order; the answers stand in the order of the operations.
    pub async fn execute_all(&self, operations: Vec<Operation>) -> Vec<Result<Answer, Failure>> {
        let count = operations.len();
        let mut by_key = Chains::with_capacity(count);
        for (index, operation) in operations.into_iter().enumerate() {
            let key = (Arc::clone(&operation.namespace), operation.key.as_str().to_owned());
            by_key.entry(key).or_default().push((index, operation));
        }
        let chains = by_key.into_values().map(|chain| async move {
            let mut answers = Vec::with_capacity(chain.len());
            for (index, operation) in chain {
                answers.push((index, self.execute(operation).await));
            }
            answers
        });
        let mut answers: Vec<_> = futures::future::join_all(chains).await.into_iter().flatten().collect();
        answers.sort_unstable_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn route(&self, mut operation: Operation, until: Instant) -> Result<Answer, Failure> {
        let mut version = if operation.action.is_read() { 0 } else { self.stamps.next() };
        loop {
            let Some(owner) = self.placement.owner(&operation.namespace, operation.key.as_str()) else {
                self.pause(until, "no auxiliary is in the ring; start one, or wait for it to join")
                    .await?;
                continue;
            };
            let (back, carried) = self.lane(&owner).carry(operation, version).await;
            operation = back;
            match carried {
                Carried::Said(Said::Done(outcome)) => return self.answer(&owner, outcome),
                Carried::Said(Said::Stale(held)) => version = self.stamp_above(held)?,
                Carried::Said(Said::Failed(failure)) if failure.code == ErrorCode::Conflict => {
                    self.pause(until, &failure.detail).await?
                }
                Carried::Said(Said::Failed(failure)) => return Err(failure),
                Carried::Refused(detail) | Carried::NotExecuted(detail) => self.pause(until, &detail).await?,
                Carried::Unknown(detail) if operation.action.is_read() => self.pause(until, &detail).await?,
                Carried::Unknown(detail) => {
                    let detail = format!("the owner may or may not have executed it ({detail}); read the key to find out");
                    return Err(Failure::new(ErrorCode::Timeout, detail));
                }
            }
        }
    }

    fn answer(&self, owner: &Owner, outcome: Outcome) -> Result<Answer, Failure> {
        if let Outcome::Stored { version, .. } | Outcome::Counter { version, .. } = outcome {
            // A drifting clock elsewhere is for the next write of that key to refuse; this one is done.
            self.stamps.observe(version).ok();
        }
        Ok(Answer {
            node: Arc::clone(&owner.node),
            outcome,
        })
    }

    fn stamp_above(&self, held: u64) -> Result<u64, Failure> {
        self.stamps.observe(held).map_err(|drift| {
            let detail = format!("the key was written by a clock {drift:?} ahead of this master's; set the clocks right");
            Failure::new(ErrorCode::Unavailable, detail)
        })?;
        Ok(self.stamps.next())
    }

    /// Waits for a change of the ring, a little at most; fails when the time is up, with the reason of the last refusal.
    async fn pause(&self, until: Instant, reason: &str) -> Result<(), Failure> {
        if Instant::now() + PAUSE >= until {
            return Err(Failure::new(ErrorCode::Unavailable, format!("not executed: {reason}")));
        }
        tokio::time::timeout(PAUSE, self.placement.changed()).await.ok();
        Ok(())
    }

    fn lane(&self, owner: &Arc<Owner>) -> Lane {
        if let Some((current, lane)) = self.lanes.read().get(&owner.node)
            && (Arc::ptr_eq(current, owner) || current == owner)
        {
            return lane.clone();
        }
        let lane = Lane::open(Arc::clone(owner), self.peers.clone(), self.lane_metrics.clone());
        let mut lanes = self.lanes.write();
        lanes.retain(|_, (owner, _)| self.placement.is_current(owner));
        lanes.insert(Arc::clone(&owner.node), (Arc::clone(owner), lane.clone()));
        lane
    }
}
