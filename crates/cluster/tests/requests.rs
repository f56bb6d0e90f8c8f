//! What operators ask for, and what nodes say of each other.

mod support;

use std::sync::Arc;
use std::time::Duration;

use api::Epoch;
use cluster::{Error, Reach, RequestOutcome, Snapshot, View, drain, rebalance};
use support::master::{INTERVAL, Master, PATIENCE, Settings, members, peers};
use support::peer::Peer;
use support::{Fake, node, registry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::peer::{PeerClient, PeerPolicy};

#[tokio::test]
async fn a_node_is_drained_when_enough_are_left() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let mut running = peers(&store, &["a", "b", "c"]).await;
    let before = master.settles(&["a", "b", "c"]).await;
    let outcome = drain(&master.store, &master.view, &node("b"), PATIENCE)
        .await
        .expect("three are more than two");
    let wanted = RequestOutcome {
        node: Some(node("b")),
        before: before.epoch,
        after: Epoch(before.epoch.0 + 3),
        syncs_from: Some(before.epoch.next()),
        asked: outcome.asked,
        done: true,
    };
    assert_eq!(outcome, wanted);
    assert_eq!(members(master.view.load().routing().record()), ["a", "c"]);
    assert!(master.view.load().drains().contains_key(&node("b")), "shown as drained");
    let again = drain(&master.store, &master.view, &node("b"), PATIENCE)
        .await
        .expect("it is out");
    assert_eq!((again.done, again.syncs_from), (true, None), "nothing was moved for it");
    let refused = drain(&master.store, &master.view, &node("a"), PATIENCE).await;
    assert!(matches!(refused, Err(Error::Keep { .. })), "{refused:?}");
    let b = running.remove(1).restart().await;
    let after = master.settles(&["a", "b", "c"]).await;
    assert!(after.layout.members.iter().any(|member| member.boot_id == b.member.boot_id));
    master.view.wait_for(|snapshot| snapshot.drains().is_empty()).await;
}

#[tokio::test]
async fn a_drain_that_takes_long_goes_on() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let peers = peers(&store, &["a", "b", "c"]).await;
    master.settles(&["a", "b", "c"]).await;
    peers[0].lag(true);
    let outcome = drain(&master.store, &master.view, &node("b"), INTERVAL)
        .await
        .expect("asked for");
    assert!(!outcome.done);
    peers[0].lag(false);
    master.settles(&["a", "c"]).await;
}

#[tokio::test]
async fn a_rebalance_is_one_change_and_is_waited_for() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let _peers = peers(&store, &["a", "b"]).await;
    let before = master.settles(&["a", "b"]).await;
    let outcome = rebalance(&master.store, &master.view, PATIENCE)
        .await
        .expect("the store answers");
    assert!(outcome.done);
    assert_eq!((outcome.before, outcome.after), (before.epoch, Epoch(before.epoch.0 + 3)));
    assert!(
        !master.sees_within(INTERVAL * 3, |record| record.epoch > outcome.after).await,
        "once is enough"
    );
    let (view, asked) = (master.view.load_full(), outcome.asked.expect("it was asked for"));
    assert!(view.is_rebalanced_since(asked));
    assert!(!view.is_rebalanced_since(view.heard()), "one asked for now has not begun");
}

#[tokio::test]
async fn nodes_that_others_cannot_reach_leave_and_come_back() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let peers = peers(&store, &["a", "b", "c"]).await;
    let other = Peer::master(&store, "two").await;
    master.settles(&["a", "b", "c"]).await;
    peers[0].complain_of(&["c"]);
    peers[2].complain_of(&["a"]);
    master.settles(&["a", "b"]).await;
    peers[0].complain_of(&[]);
    peers[2].complain_of(&[]);
    master.settles(&["a", "b", "c"]).await;
    other.complain_of(&["a"]);
    master.settles(&["b", "c"]).await;
    other.complain_of(&[]);
    master.settles(&["a", "b", "c"]).await;
}

#[tokio::test]
async fn each_node_knows_whom_it_cannot_reach() {
    let store = Fake::new();
    let mut peers = peers(&store, &["a", "b"]).await;
    let (registry, stop) = (registry(), CancellationToken::new());
    let _guard = stop.clone().drop_guard();
    let view = Arc::new(View::new(store.another(), &registry));
    let client = PeerClient::new("token", PeerPolicy::default(), &registry);
    let reach = Arc::new(Reach::new(Arc::clone(&view), client, Some(node("a"))));
    let (running, pinging, stopped) = (Arc::clone(&view), Arc::clone(&reach), stop.clone());
    tokio::spawn(async move { tokio::join!(running.run(stopped.clone()), pinging.run(stopped.clone())) });
    view.wait_for(|snapshot| snapshot.members().count() == 2).await;
    assert!(reach.unreachable().is_empty());
    peers.iter().for_each(|peer| peer.hang(true));
    let began = Instant::now();
    while reach.unreachable() != [node("b")] {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", reach.unreachable());
        tokio::time::sleep(INTERVAL / 10).await;
    }
    let b = peers.pop().expect("b").restart().await;
    let knows = |snapshot: &Arc<Snapshot>| snapshot.members().any(|member| member.boot_id == b.member.boot_id);
    view.wait_for(knows).await;
    assert!(reach.unreachable().is_empty(), "the next life begins with a clean record");
}
