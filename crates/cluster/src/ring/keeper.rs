//! Keeps the ring as it should be, while this node leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::NodeId;
use api::member::{Member, RingRecord, Role};
use control::{Compare, Consistency, ControlStore, Op, Revision, Txn};
use futures::future::join_all;
use prometheus::{IntCounter, Registry};
use telemetry::Metrics;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use transport::peer::{PeerClient, PeerError, Retry};

use super::wanted::{Policy, Probes, wanted};
use crate::{Error, LeaderState, Token, View, keys};

/// The leader's task that probes auxiliaries and writes the ring. Keep [`Keeper::run`] running.
#[derive(Debug)]
pub struct Keeper {
    store: Arc<dyn ControlStore>,
    view: Arc<View>,
    client: PeerClient,
    policy: Policy,
    interval: Duration,
    failures: IntCounter,
    changes: IntCounter,
}

/// The ring as the store has it.
#[derive(Debug, Clone)]
struct Held {
    record: RingRecord,
    mod_revision: Revision,
}

impl Keeper {
    /// A keeper that probes every `interval` (`HEALTH_CHECK_INTERVAL`).
    #[must_use]
    pub fn new(
        store: Arc<dyn ControlStore>,
        view: Arc<View>,
        client: PeerClient,
        policy: Policy,
        interval: Duration,
        registry: &Registry,
    ) -> Self {
        let metrics = Metrics::new(registry);
        Self {
            store,
            view,
            client,
            policy,
            interval,
            failures: metrics.counter(
                "cluster_probe_failures_total",
                "Probes of auxiliaries by the leader that failed.",
            ),
            changes: metrics.counter("cluster_ring_changes_total", "Rings this master has written as leader."),
        }
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

    /// One term of leadership: a round with every tick, and one at once when somebody registers or leaves.
    async fn term(&self, token: &Token) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = self.view.subscribe();
        let (mut probes, mut held, mut registered) = (Probes::default(), None, BTreeMap::new());
        loop {
            let ticked = tokio::select! {
                _ = ticks.tick() => true,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    false
                }
            };
            let seen = self.registered();
            if !ticked && seen == registered {
                continue;
            }
            registered = seen;
            probes.retain(&registered);
            // Between ticks only newcomers are probed: two failures must be an interval apart to mean something.
            let due = registered.values().filter(|member| ticked || !probes.knows(member)).collect();
            for (member, answered) in self.probe(due).await {
                probes.record(&member.id, member.boot_id, answered);
            }
            if let Err(error) = self.round(token, &registered, &probes, &mut held).await {
                warn!(%error, "the ring could not be looked after this time");
                held = None;
            }
        }
    }

    async fn round(
        &self,
        token: &Token,
        registered: &BTreeMap<NodeId, Member>,
        probes: &Probes,
        held: &mut Option<Option<Held>>,
    ) -> Result<(), Error> {
        let current = match held.take() {
            Some(current) => current,
            None => self.read().await?,
        };
        let Some(record) = wanted(current.as_ref().map(|held| &held.record), registered, probes, self.policy) else {
            *held = Some(current);
            return Ok(());
        };
        *held = self.write(token, current, record).await?.map(Some);
        Ok(())
    }

    fn registered(&self) -> BTreeMap<NodeId, Member> {
        let snapshot = self.view.load();
        snapshot
            .with_role(Role::Auxiliary)
            .map(|member| (member.id.clone(), member.clone()))
            .collect()
    }

    /// Asks all at once; an answer of any kind will do.
    async fn probe<'a>(&self, due: Vec<&'a Member>) -> Vec<(&'a Member, bool)> {
        join_all(due.into_iter().map(|member| async move {
            let call = self
                .client
                .get(&member.address, "/health")
                .deadline(self.interval / 2)
                .retry(Retry::Never);
            let answered = match call.send().await {
                Ok(_) | Err(PeerError::Answered { .. }) => true,
                Err(error) => {
                    self.failures.inc();
                    warn!(id = %member.id, %error, "an auxiliary does not answer");
                    false
                }
            };
            (member, answered)
        }))
        .await
    }

    async fn read(&self) -> Result<Option<Held>, Error> {
        let entry = self.store.get(keys::RING, Consistency::Linearizable).await?;
        entry
            .map(|entry| {
                let record = serde_json::from_slice(&entry.value).map_err(|source| Error::Record {
                    key: keys::RING.to_owned(),
                    source,
                })?;
                Ok(Held {
                    record,
                    mod_revision: entry.mod_revision,
                })
            })
            .transpose()
    }

    /// Writes the record over the one it was computed from; none when that was not there any more, or this term is over.
    async fn write(&self, token: &Token, current: Option<Held>, record: RingRecord) -> Result<Option<Held>, Error> {
        let key = || keys::RING.to_owned();
        let value = serde_json::to_vec(&record).map_err(|source| Error::Record { key: key(), source })?;
        let unchanged = match &current {
            Some(held) => Compare::ModRevision(key(), held.mod_revision),
            None => Compare::Absent(key()),
        };
        let txn = Txn {
            compares: vec![token.fence(), unchanged],
            then: vec![Op::Put {
                key: key(),
                value: value.into(),
                lease: None,
            }],
            otherwise: Vec::new(),
        };
        let answer = self.store.txn(txn).await?;
        if !answer.succeeded {
            warn!(epoch = %record.epoch, "the ring was not written: it has changed, or another node leads");
            return Ok(None);
        }
        self.changes.inc();
        let members: Vec<&str> = record.members.iter().map(|member| member.id.as_str()).collect();
        info!(epoch = %record.epoch, ?members, "new ring");
        Ok(Some(Held {
            record,
            mod_revision: answer.revision,
        }))
    }
}
