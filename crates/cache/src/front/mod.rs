//! What masters do: stamp once, find the owners, send, and send again where that is safe.

mod lane;
mod operation;
#[cfg(feature = "fuzzing")]
pub(crate) mod packing;
#[cfg(not(feature = "fuzzing"))]
mod packing;
mod pulse;
mod route;
mod stamp;
mod table;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Histogram, IntCounter};
use telemetry::{LATENCY_BUCKETS, Metrics, Registry};
use tokio::time::Instant;

use crate::{Clock, Peers, Rings};
use lane::Ways;
use operation::{ACTIONS, RESULTS};
use pulse::Pulse;
use stamp::Stamps;
use table::Table;

pub use operation::{Action, Answer, Failure, Found, Operation, Outcome, Write};

/// How the cache is offered.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Time an operation may take, waits for a change of the ring included.
    pub deadline: Duration,
    /// How long one owner may take to answer a read before the next one is asked.
    pub read_patience: Duration,
    /// Values of so many bytes and more are compressed when that saves a fifth.
    pub compress_above: usize,
    /// Largest value.
    pub max_value_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            read_patience: Duration::from_millis(300),
            compress_above: 4 << 10,
            max_value_bytes: 8 << 20,
        }
    }
}

/// The cache as masters offer it.
#[derive(Debug)]
pub struct Cache {
    ways: Arc<Ways>,
    stamps: Stamps,
    pulse: Pulse,
    table: ArcSwap<Table>,
    options: Options,
    /// By action and result: looked up once, not per operation.
    operations: Vec<IntCounter>,
    duration: Vec<Histogram>,
}

impl Cache {
    /// A cache over the auxiliaries of the ring.
    #[must_use]
    pub fn new(peers: Arc<dyn Peers>, rings: Arc<dyn Rings>, clock: Clock, options: Options, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let operations = metrics.counters(
            "cache_operations_total",
            "Cache operations of clients.",
            &["operation", "result"],
        );
        let help = "Time of a cache operation, from routing to the owner's answer.";
        let duration = metrics.histograms("cache_request_duration_seconds", help, &["operation"], LATENCY_BUCKETS);
        let counters = ACTIONS
            .iter()
            .flat_map(|action| RESULTS.map(|result| operations.with_label_values(&[*action, result])));
        Self {
            ways: Ways::new(peers, rings, registry),
            stamps: Stamps::new(clock),
            pulse: Pulse::default(),
            table: ArcSwap::default(),
            options,
            operations: counters.collect(),
            duration: ACTIONS.iter().map(|action| duration.with_label_values(&[action])).collect(),
        }
    }

    /// Watches whether this process stands still, for ever: run it as a task.
    pub async fn watch_pulse(&self) {
        self.pulse.run().await;
    }

    /// A stamp for what is not an operation on a key: clearing, prefix deletes.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.stamps.next()
    }

    /// Carries out an operation that came in just now.
    ///
    /// # Errors
    /// [`Failure`]: 503 when it was certainly not executed, 504 when that is unknown.
    pub async fn execute(&self, operation: Operation) -> Result<Answer, Failure> {
        self.execute_since(operation, Instant::now()).await
    }

    /// Carries out an operation that came in at `since`: a process that was stopped meanwhile must not send what its client
    /// gave up long ago.
    ///
    /// # Errors
    /// As [`Cache::execute`].
    pub async fn execute_since(&self, mut operation: Operation, since: Instant) -> Result<Answer, Failure> {
        let action = operation.action.kind();
        operation.pack(self.options.compress_above);
        let result = self.route(operation, since + self.options.deadline).await;
        self.record(action, &result, since);
        result
    }

    /// Carries out many operations, those of one key in order; the answers stand in the order of the operations.
    pub async fn execute_all(&self, mut operations: Vec<Operation>) -> Vec<Result<Answer, Failure>> {
        let since = Instant::now();
        for operation in &mut operations {
            operation.pack(self.options.compress_above);
        }
        let actions: Vec<_> = operations.iter().map(|operation| operation.action.kind()).collect();
        let results = self.route_all(operations, since + self.options.deadline).await;
        for (action, result) in actions.into_iter().zip(&results) {
            self.record(action, result, since);
        }
        results
    }

    fn record(&self, action: usize, result: &Result<Answer, Failure>, since: Instant) {
        let ended = result.as_ref().map_or(RESULTS.len() - 1, |answer| answer.outcome.kind());
        self.operations[action * RESULTS.len() + ended].inc();
        self.duration[action].observe(since.elapsed().as_secs_f64());
    }
}
