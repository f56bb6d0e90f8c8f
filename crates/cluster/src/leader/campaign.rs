//! Becoming the leader, staying it, and stopping in time.

use std::sync::Arc;
use std::time::Duration;

use control::{Compare, ControlStore, Event, KeyValue, LeaseId, Op, Txn};
use prometheus::{IntCounter, IntGauge, Registry};
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Leader, LeaderState, Token, cluster_id};
use crate::follow::{Update, follow};
use crate::{Error, keys};

/// Pause after a failed call to the store.
const RETRY: Duration = Duration::from_millis(200);
/// Longest wait for the store when resigning.
const FAREWELL: Duration = Duration::from_secs(2);

/// A candidate for, or holder of, the leader's lease. Keep [`Leadership::run`] running, once this node is registered: its
/// id is then its own, so that an earlier life found in the leader's seat is known to be over.
#[derive(Debug)]
pub struct Leadership {
    store: Arc<dyn ControlStore>,
    me: Leader,
    ttl: Duration,
    state: watch::Sender<LeaderState>,
    is_leader: IntGauge,
    changes: IntCounter,
}

/// The lease's key as last heard: none before the first listing, then the entry or its absence.
type Seat = Option<Option<KeyValue>>;

impl Leadership {
    /// A candidate that follows until it runs.
    #[must_use]
    pub fn new(store: Arc<dyn ControlStore>, me: Leader, ttl: Duration, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            store,
            me,
            ttl,
            state: watch::Sender::new(LeaderState::Following { leader: None }),
            is_leader: metrics.int_gauge("cluster_is_leader", "1 while this master holds the leader's lease."),
            changes: metrics.counter("cluster_leader_changes_total", "Changes of leader this master has seen."),
        }
    }

    /// Whether this node leads, and every change of that.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<LeaderState> {
        self.state.subscribe()
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> LeaderState {
        self.state.borrow().clone()
    }

    /// Campaigns and leads until `stop`, then resigns.
    pub async fn run(&self, stop: CancellationToken) {
        let (hear, mut seat) = watch::channel::<Seat>(None);
        let following = follow(&self.store, keys::LEADER, &stop, |update| {
            hear.send_if_modified(|seat| apply(seat, update));
        });
        let campaigning = async {
            while !stop.is_cancelled() {
                tokio::select! {
                    () = self.vacancy(&mut seat) => self.stand(&mut seat, &stop).await,
                    () = stop.cancelled() => {}
                }
            }
        };
        tokio::join!(following, campaigning);
    }

    /// Follows whoever leads; returns when nobody does.
    async fn vacancy(&self, seat: &mut watch::Receiver<Seat>) {
        loop {
            let seen = seat.borrow_and_update().clone();
            match seen {
                Some(None) => return,
                Some(Some(entry)) => self.follow_leader(&entry).await,
                None => {}
            }
            if seat.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn follow_leader(&self, entry: &KeyValue) {
        let leader = serde_json::from_slice::<Leader>(&entry.value).ok();
        if let Some(past) = leader.as_ref().filter(|leader| self.is_my_past(leader)) {
            info!(boot_id = %past.boot_id, "an earlier life of this node holds the leader's lease; ending it");
            let vacate = Txn {
                compares: vec![Compare::ModRevision(keys::LEADER.to_owned(), entry.mod_revision)],
                then: vec![Op::Delete {
                    key: keys::LEADER.to_owned(),
                }],
                otherwise: Vec::new(),
            };
            if let Err(error) = self.store.txn(vacate).await {
                warn!(%error, "could not end it; the lease ends by itself");
            }
        }
        self.become_state(LeaderState::Following { leader });
    }

    /// Another life of this node: over, or we would not be registered.
    fn is_my_past(&self, leader: &Leader) -> bool {
        leader.node_id == self.me.node_id && leader.boot_id != self.me.boot_id
    }

    /// Tries to take the seat, and leads when that succeeds.
    async fn stand(&self, seat: &mut watch::Receiver<Seat>, stop: &CancellationToken) {
        let sent = Instant::now();
        match self.take_seat().await {
            Ok(Some((token, lease))) => {
                info!(revision = token.revision, "this node leads");
                self.become_state(LeaderState::Leading(token.clone()));
                let reason = tokio::select! {
                    reason = self.lead(lease, sent) => reason,
                    () = unseated(seat, &token) => "somebody removed it",
                    () = stop.cancelled() => "it stops",
                };
                self.become_state(LeaderState::Following { leader: None });
                info!(reason, "this node leads no more");
                // Frees the seat at once when the store can be reached; otherwise the lease ends by itself.
                let _ = timeout(FAREWELL, self.store.revoke(lease)).await;
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot campaign now"),
        }
        // Time for the watch to tell who has the seat.
        sleep(RETRY).await;
    }

    async fn take_seat(&self) -> Result<Option<(Token, LeaseId)>, Error> {
        let cluster = cluster_id(&self.store).await?;
        let value = serde_json::to_vec(&self.me).map_err(|source| Error::Record {
            key: keys::LEADER.to_owned(),
            source,
        })?;
        let lease = self.store.lease_grant(self.ttl).await?.id;
        let put = Op::Put {
            key: keys::LEADER.to_owned(),
            value: value.into(),
            lease: Some(lease),
        };
        let txn = Txn {
            compares: vec![Compare::Absent(keys::LEADER.to_owned())],
            then: vec![put],
            otherwise: Vec::new(),
        };
        match self.store.txn(txn).await {
            Ok(answer) if answer.succeeded => Ok(Some((
                Token {
                    cluster,
                    revision: answer.revision,
                },
                lease,
            ))),
            lost => {
                // After an unknown outcome this gives the seat back, should we have got it.
                let _ = timeout(FAREWELL, self.store.revoke(lease)).await;
                lost?;
                Ok(None)
            }
        }
    }

    /// Keeps the lease alive; returns, with the reason, when this node must not lead any more. `sent` is an instant before
    /// the lease was granted.
    async fn lead(&self, lease: LeaseId, sent: Instant) -> &'static str {
        let mut deadline = sent + self.ttl * 2 / 3;
        let mut next = sent + self.ttl / 3;
        loop {
            sleep_until(next.min(deadline)).await;
            let sent = Instant::now();
            if sent >= deadline {
                return "the control store was silent for too long";
            }
            match timeout_at(deadline, self.store.keep_alive(lease)).await {
                Ok(Ok(left)) if !left.is_zero() => {
                    deadline = sent + self.ttl * 2 / 3;
                    next = sent + self.ttl / 3;
                }
                Ok(Ok(_) | Err(control::Error::LeaseNotFound)) => return "the lease has ended",
                Ok(Err(error)) => {
                    warn!(%error, "the leader's lease cannot be kept alive now");
                    next = Instant::now() + RETRY;
                }
                Err(_) => return "the control store was silent for too long",
            }
        }
    }

    fn become_state(&self, state: LeaderState) {
        self.is_leader.set(i64::from(state.token().is_some()));
        let named = |state: &LeaderState| match state {
            LeaderState::Leading(_) => Some(self.me.clone()),
            LeaderState::Following { leader } => leader.clone(),
        };
        self.state.send_if_modified(|held| {
            let (before, after) = (named(held), named(&state));
            if after.is_some() && after != before {
                self.changes.inc();
            }
            let changed = *held != state;
            *held = state;
            changed
        });
    }
}

/// Returns when the watch tells that our entry, once seen, is gone: its lease may live on without it.
async fn unseated(seat: &mut watch::Receiver<Seat>, token: &Token) {
    let mut seen = false;
    loop {
        let created = seat
            .borrow_and_update()
            .as_ref()
            .and_then(|entry| entry.as_ref().map(|entry| entry.create_revision));
        match created {
            Some(revision) if revision == token.revision => seen = true,
            Some(revision) if revision > token.revision => return,
            None if seen => return,
            _ => {}
        }
        if seat.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Whether the seat changed.
fn apply(seat: &mut Seat, update: Update) -> bool {
    let heard = match update {
        Update::Listed(items, _) => Some(items.into_iter().find(|item| item.key == keys::LEADER)),
        Update::Changed(events) => events
            .into_iter()
            .rev()
            .find(|event| event.key() == keys::LEADER)
            .map(|event| match event {
                Event::Put(entry) => Some(entry),
                Event::Delete { .. } => None,
            }),
    };
    match heard {
        Some(heard) => {
            *seat = Some(heard);
            true
        }
        None => false,
    }
}
