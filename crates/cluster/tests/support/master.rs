//! A master that leads, and looks after a ring of [peers](super::peer::Peer).

use std::sync::Arc;
use std::time::Duration;

use api::BootId;
use api::member::{Phase, RingRecord};
use cluster::{LEASE_TTL, Leader, Leadership, RingKeeper, RingPolicy, Snapshot, View};
use control::ControlStore;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::peer::{PeerClient, PeerPolicy};

use super::peer::Peer;
use super::{Fake, node, registry};

pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Master {
    pub(crate) view: Arc<View>,
    pub(crate) store: Arc<dyn ControlStore>,
    pub(crate) registry: prometheus::Registry,
    _guard: DropGuard,
}

/// How a master of a test differs from others.
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) replicas: u32,
    pub(crate) patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: INTERVAL,
            replicas: 2,
            patience: PATIENCE,
        }
    }
}

impl Master {
    pub(crate) async fn start(store: &Arc<Fake>, name: &str, settings: Settings) -> Self {
        let (registry, stop) = (registry(), CancellationToken::new());
        let view = Arc::new(View::new(store.another(), &registry));
        let me = Leader {
            node_id: node(name),
            boot_id: BootId::new_random(),
            address: format!("{name}:9000"),
            public_address: None,
        };
        let leadership = Leadership::new(store.another(), me, LEASE_TTL, &registry);
        let client = PeerClient::new("token", PeerPolicy::default(), &registry);
        let policy = RingPolicy {
            virtual_nodes: 64,
            replicas: settings.replicas,
        };
        let keeper = RingKeeper::new(
            store.another(),
            Arc::clone(&view),
            client,
            policy,
            settings.interval,
            &registry,
        );
        let keeper = keeper.with_patience(settings.patience);
        let (running, state, token) = (Arc::clone(&view), leadership.subscribe(), stop.clone());
        tokio::spawn(async move {
            tokio::join!(
                running.run(token.clone()),
                leadership.run(token.clone()),
                keeper.run(state, token.clone())
            );
        });
        view.synced().await;
        Self {
            view,
            store: store.another(),
            registry,
            _guard: stop.drop_guard(),
        }
    }

    /// Waits for a record of which `is` is true.
    pub(crate) async fn sees(&self, what: &str, is: impl Fn(&RingRecord) -> bool) -> RingRecord {
        let holds = |snapshot: &Arc<Snapshot>| is(snapshot.routing().record());
        match timeout(PATIENCE, self.view.wait_for(holds)).await {
            Ok(snapshot) => snapshot.routing().record().clone(),
            Err(_) => panic!("{what} not seen: {:?}", self.view.load().routing().record()),
        }
    }

    /// Waits for a stable ring of these.
    pub(crate) async fn settles(&self, names: &[&str]) -> RingRecord {
        let is = |record: &RingRecord| record.phase == Phase::Stable && members(record) == names;
        self.sees(&format!("a stable ring of {names:?}"), is).await
    }

    /// Whether such a record comes in that time.
    pub(crate) async fn sees_within(&self, time: Duration, is: impl Fn(&RingRecord) -> bool) -> bool {
        let holds = |snapshot: &Arc<Snapshot>| is(snapshot.routing().record());
        timeout(time, self.view.wait_for(holds)).await.is_ok()
    }

    pub(crate) fn figures(&self) -> String {
        telemetry::render(&self.registry)
    }
}

pub(crate) fn members(record: &RingRecord) -> Vec<&str> {
    record.layout.members.iter().map(|member| member.id.as_str()).collect()
}

pub(crate) fn lost(record: &RingRecord) -> Vec<&str> {
    let before = record.previous.iter().flat_map(|layout| &layout.members);
    before.filter(|member| member.lost).map(|member| member.id.as_str()).collect()
}

pub(crate) async fn peers(store: &Arc<Fake>, names: &[&str]) -> Vec<Peer> {
    let mut peers = Vec::new();
    for name in names {
        peers.push(Peer::auxiliary(store, name).await);
    }
    peers
}
