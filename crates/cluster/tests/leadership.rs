//! One leader at a time, and none that writes after its term.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api::BootId;
use bytes::Bytes;
use cluster::{LEASE_TTL, Leader, LeaderState, Leadership, Token};
use control::{ControlStore, Op, Txn};
use support::{Fake, node, registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct Candidate {
    store: Arc<Fake>,
    state: watch::Receiver<LeaderState>,
    stop: CancellationToken,
}

impl Candidate {
    fn start(store: &Arc<Fake>, name: &str) -> Self {
        let (store, stop) = (store.another(), CancellationToken::new());
        let me = Leader {
            node_id: node(name),
            boot_id: BootId::new_random(),
            address: format!("{name}:9000"),
            public_address: None,
        };
        let leadership = Leadership::new(store.clone(), me, LEASE_TTL, &registry());
        let (state, token) = (leadership.subscribe(), stop.clone());
        tokio::spawn(async move { leadership.run(token).await });
        Self { store, state, stop }
    }

    async fn leads(&mut self) -> Token {
        let state = self.state.wait_for(|state| state.token().is_some()).await.expect("running");
        state.token().cloned().expect("leading")
    }

    async fn follows(&mut self, name: &str) {
        let is = |state: &LeaderState| matches!(state, LeaderState::Following { leader: Some(leader) } if leader.node_id == node(name));
        self.state.wait_for(is).await.expect("running");
    }

    /// A write as leader; whether it was accepted.
    async fn write(&self, token: &Token) -> bool {
        let put = Op::Put {
            key: "jobs/x".to_owned(),
            value: Bytes::from_static(b"v"),
            lease: None,
        };
        let txn = Txn {
            compares: vec![token.fence()],
            then: vec![put],
            otherwise: vec![],
        };
        self.store.txn(txn).await.expect("the store answers").succeeded
    }
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_knows_who() {
    let store = Fake::new();
    let mut one = Candidate::start(&store, "one");
    let token = one.leads().await;
    let mut two = Candidate::start(&store, "two");
    two.follows("one").await;
    tokio::time::sleep(LEASE_TTL * 5).await;
    assert_eq!(one.state.borrow().token(), Some(&token), "the lease is kept alive");
    assert!(one.write(&token).await);
}

#[tokio::test(start_paused = true)]
async fn a_planned_stop_hands_over_at_once() {
    let store = Fake::new();
    let mut one = Candidate::start(&store, "one");
    let first = one.leads().await;
    let mut two = Candidate::start(&store, "two");
    two.follows("one").await;
    let began = tokio::time::Instant::now();
    one.stop.cancel();
    let second = two.leads().await;
    assert!(began.elapsed() < LEASE_TTL / 10, "{:?}", began.elapsed());
    assert_eq!(first.cluster, second.cluster);
    assert!(second.revision > first.revision);
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_stops_before_its_successor_begins_and_can_write_nothing_after() {
    let store = Fake::new();
    let mut one = Candidate::start(&store, "one");
    let old = one.leads().await;
    let mut two = Candidate::start(&store, "two");
    two.follows("one").await;
    one.store.silence(true);
    let began = tokio::time::Instant::now();
    one.state.wait_for(|state| state.token().is_none()).await.expect("running");
    assert!(
        began.elapsed() <= LEASE_TTL * 2 / 3 + Duration::from_millis(5),
        "it stopped after {:?}",
        began.elapsed()
    );
    assert!(two.state.borrow().token().is_none(), "nobody else leads yet");
    let new = two.leads().await;
    assert!(began.elapsed() < LEASE_TTL * 2);
    one.store.silence(false);
    assert!(!one.write(&old).await, "a deposed leader wrote");
    assert!(two.write(&new).await);
    one.follows("two").await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_seat_is_removed_stops() {
    let store = Fake::new();
    let mut one = Candidate::start(&store, "one");
    let old = one.leads().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let vacate = Txn {
        then: vec![Op::Delete {
            key: "leader".to_owned(),
        }],
        ..Txn::default()
    };
    store.txn(vacate).await.expect("the store answers");
    one.state
        .wait_for(|state| state.token() != Some(&old))
        .await
        .expect("running");
    assert!(!one.write(&old).await);
    assert!(one.leads().await.revision > old.revision);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_crashed_and_came_back_in_place_leads_again_at_once() {
    let store = Fake::new();
    let mut one = Candidate::start(&store, "one");
    let old = one.leads().await;
    one.store.silence(true);
    let began = tokio::time::Instant::now();
    let mut back = Candidate::start(&store, "one");
    let new = back.leads().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!back.write(&old).await && back.write(&new).await);
}
