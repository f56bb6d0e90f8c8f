//! Keeps the ring as it should be, while this node leads: sees, decides with [`next`], writes.

use std::sync::Arc;
use std::time::Duration;

use api::member::{Member, Phase, Role};
use control::ControlStore;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use transport::peer::PeerClient;

use super::change::{Policy, Seen, complaints, moot, next, stranded};
use super::figures::Figures;
use super::prober::Prober;
use super::records::{self, Held};
use crate::{Error, LeaderState, Snapshot, Token, View};

/// How long nodes are waited for that are lost together with all copies of what they held.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for a record to reach everybody who can reach the store.
const OVERDUE: Duration = Duration::from_secs(5);
/// Pause after a failed call to the store.
const RETRY: Duration = Duration::from_millis(500);

/// The leader's task that probes nodes and writes the ring. Keep [`Keeper::run`] running.
#[derive(Debug)]
pub struct Keeper {
    store: Arc<dyn ControlStore>,
    view: Arc<View>,
    client: PeerClient,
    policy: Policy,
    interval: Duration,
    patience: Duration,
    figures: Figures,
}

/// What one term of leadership remembers.
struct Term<'a> {
    token: &'a Token,
    prober: Prober,
    /// The record, once it was read.
    held: Option<Option<Held>>,
    /// Since when it is the one.
    held_since: Instant,
    /// Since when keys have been without holders, or the ring without anybody who answers.
    stranded_since: Option<Instant>,
    /// When the change under way began, if this term saw it begin.
    change_began: Option<Instant>,
    /// Before then the store is left alone.
    retry_at: Instant,
}

impl Keeper {
    /// A keeper that probes twice in every `interval` (`HEALTH_CHECK_INTERVAL`).
    #[must_use]
    pub fn new(
        store: Arc<dyn ControlStore>,
        view: Arc<View>,
        client: PeerClient,
        policy: Policy,
        interval: Duration,
        registry: &Registry,
    ) -> Self {
        Self {
            store,
            view,
            client,
            policy,
            interval,
            patience: PATIENCE,
            figures: Figures::new(registry),
        }
    }

    /// Waits this long, and not half a minute, for nodes that are lost together with all copies of what they held.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Works whenever `leadership` says that this node leads, until `stop`.
    pub async fn run(&self, mut leadership: watch::Receiver<LeaderState>, stop: CancellationToken) {
        loop {
            let token = leadership.borrow_and_update().token().cloned();
            let term = async {
                match &token {
                    Some(token) => self.term(token).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = term => {}
                changed = leadership.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    /// One term of leadership: a look with every probe that ends and with every change of members or requests.
    async fn term(&self, token: &Token) {
        let now = Instant::now();
        let mut term = Term {
            token,
            prober: Prober::new(self.client.clone(), self.interval),
            held: None,
            held_since: now,
            stranded_since: None,
            change_began: None,
            retry_at: now,
        };
        let mut changes = self.view.subscribe();
        self.view.synced().await;
        loop {
            let snapshot = Arc::clone(&changes.borrow_and_update());
            term.prober.aim(&snapshot);
            if Instant::now() >= term.retry_at
                && let Err(error) = self.look(&mut term, &snapshot).await
            {
                warn!(%error, "the ring could not be looked after this time");
                term.held = None;
                term.retry_at = Instant::now() + RETRY;
            }
            let impatient = term.held.iter().flatten().any(|held| held.record.phase != Phase::Stable);
            tokio::select! {
                failures = term.prober.hear(impatient) => self.figures.probe_failures.inc_by(failures as u64),
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes all steps that what is seen calls for.
    async fn look(&self, term: &mut Term<'_>, snapshot: &Snapshot) -> Result<(), Error> {
        loop {
            let held = match term.held.take() {
                Some(held) => held,
                None => {
                    term.held_since = Instant::now();
                    records::read(&self.store).await?
                }
            };
            let seen = self.see(term, held.as_ref(), snapshot);
            let record = held.as_ref().map(|held| &held.record);
            self.figures
                .complaints
                .set(record.map_or(0, |record| complaints(record, &seen)).cast_signed() as i64);
            let moot = moot(record, &seen);
            let Some(step) = next(record, &seen, self.policy) else {
                term.held = Some(held);
                if !moot.is_empty() {
                    info!(?moot, "dismissed requests");
                    records::dismiss(&self.store, term.token, &moot).await?;
                }
                return Ok(());
            };
            let (record, cause) = (step.record.clone(), step.cause.clone());
            term.held = records::write(&self.store, term.token, held.as_ref(), step).await?.map(Some);
            term.held_since = Instant::now();
            if term.held.is_none() {
                warn!(epoch = %record.epoch, "the ring was not written: it has changed, or another node leads");
                term.retry_at = Instant::now() + RETRY;
                return Ok(());
            }
            let members: Vec<&str> = record.layout.members.iter().map(|member| member.id.as_str()).collect();
            info!(epoch = %record.epoch, phase = record.phase.as_str(), ?members, %cause, "new ring");
            self.figures.written(&record, &mut term.change_began);
        }
    }

    fn see(&self, term: &mut Term<'_>, held: Option<&Held>, snapshot: &Snapshot) -> Seen {
        let registered = snapshot
            .with_role(Role::Auxiliary)
            .map(|member: &Member| (member.id.clone(), member.clone()));
        let mut seen = Seen {
            registered: registered.collect(),
            health: term.prober.health.clone(),
            masters: term.prober.masters.clone(),
            complaints: term.prober.complaints.clone(),
            drains: snapshot.drains().clone(),
            known: snapshot.routing().record().clone(),
            // The request that began a change is gone from the store before this node hears of that.
            rebalance: snapshot.rebalance() && held.is_none_or(|held| snapshot.epoch() >= held.record.epoch),
            patience_over: false,
            overdue: term.held_since.elapsed() >= OVERDUE,
        };
        if held.is_some_and(|held| stranded(&held.record, &seen)) {
            let since = *term.stranded_since.get_or_insert_with(Instant::now);
            seen.patience_over = since.elapsed() >= self.patience;
        } else {
            term.stranded_since = None;
        }
        seen
    }
}
