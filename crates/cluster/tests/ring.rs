//! The leader keeps the ring, and everybody sees it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api::{BootId, Epoch};
use cluster::{LEASE_TTL, Leader, Leadership, Registration, RingKeeper, RingPolicy, View};
use support::{Fake, auxiliary, node, registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transport::peer::{PeerClient, PeerPolicy};

const INTERVAL: Duration = Duration::from_millis(50);
const POLICY: RingPolicy = RingPolicy {
    virtual_nodes: 64,
    replicas: 1,
};

/// Answers every connection with 200 until told to stop.
struct Peer {
    address: String,
    stop: CancellationToken,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                let mut connection = tokio::select! {
                    accepted = listener.accept() => accepted.expect("accept").0,
                    () = stopped.cancelled() => return,
                };
                let _ = connection.read(&mut [0; 2048]).await;
                let _ = connection
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            }
        });
        Self { address, stop }
    }
}

async fn master(store: &Arc<Fake>, name: &str, stop: &CancellationToken) -> Arc<View> {
    let registry = registry();
    let view = Arc::new(View::new(store.another(), &registry));
    let me = Leader {
        node_id: node(name),
        boot_id: BootId::new_random(),
        address: format!("{name}:9000"),
        public_address: None,
    };
    let leadership = Leadership::new(store.another(), me, LEASE_TTL, &registry);
    let client = PeerClient::new("token", PeerPolicy::default(), &registry);
    let keeper = RingKeeper::new(store.another(), Arc::clone(&view), client, POLICY, INTERVAL, &registry);
    let (running, state, token) = (Arc::clone(&view), leadership.subscribe(), stop.clone());
    tokio::spawn(async move {
        tokio::join!(
            running.run(token.clone()),
            leadership.run(token.clone()),
            keeper.run(state, token.clone())
        );
    });
    view.synced().await;
    view
}

async fn sees(view: &View, names: &[&str]) -> Epoch {
    let is = |snapshot: &Arc<cluster::Snapshot>| {
        let members = &snapshot.routing().record().members;
        members.iter().map(|member| member.id.as_str()).eq(names.iter().copied())
    };
    let found = tokio::time::timeout(Duration::from_secs(20), view.wait_for(is)).await;
    found
        .unwrap_or_else(|_| panic!("{names:?} not seen: {:?}", view.load().routing().record()))
        .epoch()
}

#[tokio::test]
async fn the_ring_follows_who_answers_and_survives_its_leader() {
    let (store, stop) = (Fake::new(), CancellationToken::new());
    let (a, b) = (Peer::start().await, Peer::start().await);
    let first_stop = CancellationToken::new();
    let first = master(&store, "one", &first_stop).await;
    let second = master(&store, "two", &stop).await;
    let _a = Registration::register(store.another(), auxiliary("a", &a.address), LEASE_TTL)
        .await
        .expect("free");
    sees(&first, &["a"]).await;
    let _b = Registration::register(store.another(), auxiliary("b", &b.address), LEASE_TTL)
        .await
        .expect("free");
    let both = sees(&second, &["a", "b"]).await;
    let snapshot = second.load();
    let owned_by_b = (0..100)
        .map(|n| n.to_string())
        .find(|key| snapshot.routing().owner_id("", key) == Some("b"))
        .expect("a share");
    assert_eq!(snapshot.routing().owner("", &owned_by_b).expect("known").address, b.address);
    drop(snapshot);

    b.stop.cancel();
    let without = sees(&second, &["a"]).await;
    assert_eq!(without.0, both.0 + 1);

    first_stop.cancel();
    a.stop.cancel();
    let c = Peer::start().await;
    let _c = Registration::register(store.another(), auxiliary("c", &c.address), LEASE_TTL)
        .await
        .expect("free");
    let after = sees(&second, &["c"]).await;
    assert!(after > without, "the second master carries on from the first one's epoch");
    stop.cancel();
}

#[tokio::test]
async fn who_is_told_of_a_newer_epoch_learns_it_without_the_watch() {
    let store = Fake::new();
    // Not running: as if its watch were late.
    let view = View::new(store.another(), &registry());
    let stop = CancellationToken::new();
    let a = Peer::start().await;
    let master = master(&store, "one", &stop).await;
    let _a = Registration::register(store.another(), auxiliary("a", &a.address), LEASE_TTL)
        .await
        .expect("free");
    let epoch = sees(&master, &["a"]).await;
    assert_eq!(view.catch_up(epoch).await.expect("the store answers"), epoch);
    stop.cancel();
}
