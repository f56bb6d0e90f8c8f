//! The connections of a listener: how many there may be, how long each may keep it waiting, and which one goes when there is no room.
//!
//! Connections cost nothing to open and a place each here, so a listener that only counted them could be held by whoever opens most. When all
//! places are taken, those go of which nobody waits for anything: connections on which no request ever came first, then those that were
//! idle for longest, then those whose clients have long taken nothing of their answers. One with a request under way is never
//! among them, so no work is lost; should all be busy, newcomers wait in the accept queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::descriptors;
use super::metrics::ConnectionMetrics;

/// Connections of a listener, unless a setting says otherwise.
const MAX_CONNECTIONS: usize = 16_384;
/// Time for the first byte of a connection, and from the first byte of a request to the end of its headers.
const HEAD: Duration = Duration::from_secs(10);
/// Time for an idle connection to be used again. Longer than the minute for which NGINX keeps an idle upstream connection, so that it is never
/// NGINX who finds a connection closed under a request.
const IDLE: Duration = Duration::from_secs(75);
/// Longest time in which a client takes nothing of its answer; longer than NGINX has for its own clients.
const STALL: Duration = Duration::from_secs(60);
/// A client that has taken nothing for so long makes room for others.
const STALLED: Duration = Duration::from_secs(5);
/// Fewer connections than a busy node needs.
const FEW: usize = 1024;
/// Pause before room is looked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a listener allows its connections.
#[derive(Debug, Clone)]
pub struct ConnectionBounds {
    max: usize,
    pub(super) first: Duration,
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Option<Duration>,
    pub(super) metrics: Option<ConnectionMetrics>,
}

impl Default for ConnectionBounds {
    fn default() -> Self {
        Self {
            max: MAX_CONNECTIONS,
            first: HEAD,
            head: HEAD,
            idle: IDLE,
            stall: Some(STALL),
            metrics: None,
        }
    }
}

impl ConnectionBounds {
    /// Of a public listener with at most `max` connections, or half of the files that the process may open when that is less.
    #[must_use]
    pub fn new(max: usize, metrics: &super::HttpMetrics) -> Self {
        Self {
            max: within_descriptors(max, 2),
            metrics: Some(metrics.connections.clone()),
            ..Self::default()
        }
    }

    /// Of a listener for nodes: they connect ahead of what they ask, and one that is slow to read has its reasons.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.max = within_descriptors(self.max, 3);
        self.first = self.idle;
        self.stall = None;
        self
    }

    /// Other times for a first byte and for headers, and for a client to take some of its answer.
    #[must_use]
    pub fn patience(mut self, head: Duration, stall: Duration) -> Self {
        (self.first, self.head, self.stall) = (head, head, Some(stall));
        self
    }
}

/// At most this part of the files that the process may open: logs, data and calls to other nodes need some too.
fn within_descriptors(max: usize, part: usize) -> usize {
    let Some(limit) = descriptors::soft_limit() else { return max };
    let most = (limit / part).max(1);
    if max > most {
        let said = format!("this process may open {limit} files (ulimit -n): at most {most} connections on a listener");
        match most < FEW {
            true => warn!("{said}"),
            false => debug!("{said}"),
        }
    }
    max.min(most)
}

/// A place among the connections of a listener, taken as long as a clone lives. Requests for an upgrade carry one, for
/// whoever goes on with the connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSlot {
    _place: Arc<OwnedSemaphorePermit>,
}

/// All of a listener.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) bounds: ConnectionBounds,
    began: Instant,
    places: Arc<Semaphore>,
    /// By where they are in memory.
    live: Mutex<HashMap<usize, Arc<Connection>>>,
}

impl Connections {
    pub(super) fn new(bounds: ConnectionBounds) -> Self {
        Self {
            began: Instant::now(),
            places: Arc::new(Semaphore::new(bounds.max)),
            live: Mutex::default(),
            bounds,
        }
    }

    /// Waits for a place, and has others make room for it; none when the listener stops.
    pub(super) async fn place(&self, stop: &CancellationToken) -> Option<ConnectionSlot> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Some(ConnectionSlot { _place: Arc::new(place) });
            }
            self.make_room();
            tokio::select! {
                // Only wakes this up: who waits in it must not take a place twice.
                freed = self.places.acquire() => drop(freed),
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return None,
            }
        }
    }

    /// A connection begins.
    pub(super) fn open(self: &Arc<Self>) -> Open {
        let connection = Arc::new(Connection {
            began: self.began,
            phase: AtomicU8::new(FRESH),
            idle_since: AtomicU64::new(since(self.began)),
            stalled_since: AtomicU64::new(0),
            goes: Notify::new(),
        });
        self.live.lock().insert(place_of(&connection), Arc::clone(&connection));
        if let Some(metrics) = &self.bounds.metrics {
            metrics.open.inc();
        }
        Open {
            connection,
            of: Arc::clone(self),
        }
    }

    /// Waits until all connections have ended.
    pub(super) async fn ended(&self) {
        let all = u32::try_from(self.bounds.max).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
    }

    pub(super) fn count(&self, reason: &str) {
        if let Some(metrics) = &self.bounds.metrics {
            metrics.closed.with_label_values(&[reason]).inc();
        }
    }

    /// Asks some to go, many at once: looking for them means looking at all.
    fn make_room(&self) {
        let now = since(self.began);
        let live = self.live.lock();
        let able = live.values().filter_map(|one| Some((one.readiness(now)?, one)));
        let mut able: Vec<_> = able.collect();
        let wanted = (self.bounds.max / 64).max(1).min(able.len());
        if wanted == 0 {
            return;
        }
        able.select_nth_unstable_by_key(wanted - 1, |(readiness, _)| *readiness);
        for (_, one) in &able[..wanted] {
            one.goes.notify_one();
        }
    }
}

/// An open connection; closed when dropped.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Arc<Connection>,
    pub(super) of: Arc<Connections>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.of.live.lock().remove(&place_of(&self.connection));
        if let Some(metrics) = &self.of.bounds.metrics {
            metrics.open.dec();
        }
    }
}

/// Nothing was read yet.
const FRESH: u8 = 0;
/// Between two requests.
const IDLING: u8 = 1;
/// Some of a request's headers came.
const HEADING: u8 = 2;
/// A request is under way, to the last byte of its answer's body.
const BUSY: u8 = 3;

/// How it stands with a connection. Its own task changes that, whoever looks for room reads it.
#[derive(Debug)]
pub(super) struct Connection {
    began: Instant,
    phase: AtomicU8,
    /// Milliseconds after `began`, plus one: when it was opened, when its last answer ended, or when a later request began to come.
    idle_since: AtomicU64,
    /// The same, for as long as its client takes nothing; otherwise 0.
    stalled_since: AtomicU64,
    goes: Notify,
}

impl Connection {
    /// A request's headers are there. What is given back is held until the answer has been handed over.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.phase.store(BUSY, Ordering::Relaxed);
        Busy(Some(Arc::clone(self)))
    }

    /// Something was read; true when it begins another request, after the first.
    pub(super) fn heard(&self) -> bool {
        let phase = self.phase.load(Ordering::Relaxed);
        if phase >= HEADING {
            return false;
        }
        self.phase.store(HEADING, Ordering::Relaxed);
        if phase == IDLING {
            // Whoever begins just now is not the first to go.
            self.idle_since.store(since(self.began), Ordering::Relaxed);
        }
        phase == IDLING
    }

    /// How long the client may keep us waiting for what is to come next, when that is bounded here.
    pub(super) fn patience(&self, bounds: &ConnectionBounds) -> Option<Duration> {
        match self.phase.load(Ordering::Relaxed) {
            FRESH => Some(bounds.first),
            HEADING => Some(bounds.head),
            _ => None,
        }
    }

    /// Whether the client takes what is written.
    pub(super) fn stalls(&self, stalls: bool) {
        match (stalls, self.stalled_since.load(Ordering::Relaxed)) {
            (true, 0) => self.stalled_since.store(since(self.began), Ordering::Relaxed),
            (false, 1..) => self.stalled_since.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Returns when it is to go, should it still be able to.
    pub(super) async fn asked_to_go(&self) {
        self.goes.notified().await;
    }

    /// Whether nobody waits for anything on it.
    pub(super) fn may_go(&self) -> bool {
        self.readiness(since(self.began)).is_some()
    }

    /// Who goes first has the least; none when it must stay.
    fn readiness(&self, now: u64) -> Option<(u8, u64)> {
        let stalled = self.stalled_since.load(Ordering::Relaxed);
        if stalled > 0 {
            let long = now.saturating_sub(stalled) >= STALLED.as_millis() as u64;
            return long.then_some((2, stalled));
        }
        let idle = self.idle_since.load(Ordering::Relaxed);
        match self.phase.load(Ordering::Relaxed) {
            BUSY => None,
            IDLING => Some((1, idle)),
            _ => Some((0, idle)),
        }
    }
}

/// A request is under way as long as this lives.
#[derive(Debug)]
pub(super) struct Busy(Option<Arc<Connection>>);

impl Busy {
    /// The connection is somebody else's from now on.
    pub(super) fn for_good(mut self) {
        self.0 = None;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.idle_since.store(since(connection.began), Ordering::Relaxed);
            connection.phase.store(IDLING, Ordering::Relaxed);
        }
    }
}

fn place_of(connection: &Arc<Connection>) -> usize {
    Arc::as_ptr(connection).addr()
}

fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
}
