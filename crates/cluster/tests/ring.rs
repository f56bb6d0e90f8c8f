//! The leader keeps the ring, and everybody sees it.

mod support;

use std::time::Duration;

use api::member::{Phase, RingRecord};
use api::{BootId, Epoch};
use cluster::View;
use support::master::{INTERVAL, Master, Settings, lost, members, peers};
use support::peer::Peer;
use support::{Fake, registry};
use tokio::time::Instant;

#[tokio::test]
async fn the_ring_follows_who_answers_and_survives_its_leader() {
    let store = Fake::new();
    let first = Master::start(&store, "one", Settings::default()).await;
    let second = Master::start(&store, "two", Settings::default()).await;
    let a = Peer::auxiliary(&store, "a").await;
    first.settles(&["a"]).await;
    let b = Peer::auxiliary(&store, "b").await;
    let both = second.settles(&["a", "b"]).await;
    let snapshot = second.view.load_full();
    let routing = snapshot.routing();
    let plan = routing.plan(7);
    assert_eq!(plan.readers.len(), 2);
    let addresses: Vec<&str> = plan
        .readers
        .iter()
        .filter_map(|index| routing.node(*index))
        .map(|owner| owner.address.as_str())
        .collect();
    assert!(addresses.contains(&a.member.address.as_str()) && addresses.contains(&b.member.address.as_str()));
    let figures = second.figures();
    assert!(figures.contains("cluster_ring_phase{phase=\"stable\"} 1"), "{figures}");
    assert!(
        first.figures().contains("cluster_ring_change_seconds_count 2"),
        "{}",
        first.figures()
    );

    b.kill();
    let without = second.settles(&["a"]).await;
    assert!(without.epoch > both.epoch);

    drop(first);
    let _c = Peer::auxiliary(&store, "c").await;
    let after = second.settles(&["a", "c"]).await;
    assert!(
        after.epoch > without.epoch,
        "the second master carries on from the first one's epoch"
    );
}

#[tokio::test]
async fn with_the_usual_interval_an_unreachable_node_is_out_within_two_seconds() {
    let store = Fake::new();
    let settings = Settings {
        interval: Duration::from_secs(1),
        ..Settings::default()
    };
    let master = Master::start(&store, "one", settings).await;
    let peers = peers(&store, &["a", "b", "c", "d"]).await;
    master.settles(&["a", "b", "c", "d"]).await;
    let began = Instant::now();
    peers[1].hang(true);
    let record = master.sees("b lost", |record| !members(record).contains(&"b")).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((record.phase, lost(&record)), (Phase::Moving, vec!["b"]));
    master.settles(&["a", "c", "d"]).await;

    let began = Instant::now();
    peers[2].kill();
    master.sees("c lost", |record| !members(record).contains(&"c")).await;
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
    master.settles(&["a", "d"]).await;
    peers[1].hang(false);
    master.settles(&["a", "b", "d"]).await;
}

#[tokio::test]
async fn a_node_that_restarts_at_once_takes_its_own_place() {
    let store = Fake::new();
    let settings = Settings {
        interval: Duration::from_secs(10),
        ..Settings::default()
    };
    let master = Master::start(&store, "one", settings).await;
    let mut peers = peers(&store, &["a", "b"]).await;
    let before = master.settles(&["a", "b"]).await;
    let b = peers.pop().expect("b");
    let old = b.member.boot_id;
    let b = b.restart().await;
    let is = |record: &RingRecord| record.epoch > before.epoch;
    let moving = master.sees("a change", is).await;
    assert_eq!((members(&moving), lost(&moving)), (vec!["a", "b"], vec!["b"]));
    let after = master.settles(&["a", "b"]).await;
    assert_eq!(after.epoch, Epoch(before.epoch.0 + 3), "one change");
    let boots: Vec<BootId> = after.layout.members.iter().map(|member| member.boot_id).collect();
    assert!(boots.contains(&b.member.boot_id) && !boots.contains(&old));
}

#[tokio::test]
async fn a_phase_lasts_until_everybody_is_synced() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let a = Peer::auxiliary(&store, "a").await;
    let stable = master.settles(&["a"]).await;
    a.lag(true);
    let _b = Peer::auxiliary(&store, "b").await;
    let moving = master
        .sees("a change", |record| {
            record.phase == Phase::Moving && record.epoch > stable.epoch
        })
        .await;
    assert_eq!(members(&moving), ["a", "b"]);
    let changed = master.sees_within(INTERVAL * 5, |record| record.epoch > moving.epoch).await;
    assert!(!changed, "a is not synced");
    a.lag(false);
    let after = master.settles(&["a", "b"]).await;
    assert_eq!(after.epoch, Epoch(moving.epoch.0 + 2));
}

#[tokio::test]
async fn after_a_restart_of_everything_a_missing_node_is_waited_for_only_so_long() {
    let store = Fake::new();
    let patience = Duration::from_secs(1);
    let settings = || Settings {
        patience,
        ..Settings::default()
    };
    let master = Master::start(&store, "one", settings()).await;
    let mut running = peers(&store, &["a", "b", "c"]).await;
    let before = master.settles(&["a", "b", "c"]).await;
    drop(master);
    let (c, b, a) = (
        running.pop().expect("c"),
        running.pop().expect("b"),
        running.pop().expect("a"),
    );
    c.kill();
    c.leave();
    store.expire_all();
    let (_a, _b) = tokio::join!(a.restart(), b.restart());
    let began = Instant::now();
    let master = Master::start(&store, "one", settings()).await;
    let moving = master.sees("a restart", |record| record.epoch > before.epoch).await;
    assert!(began.elapsed() >= patience, "c was not waited for: {:?}", began.elapsed());
    assert_eq!((members(&moving), lost(&moving)), (vec!["a", "b"], vec!["a", "b", "c"]));
    master.settles(&["a", "b"]).await;
}

#[tokio::test]
async fn after_a_restart_of_everything_nobody_waits_when_all_are_back() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let mut running = peers(&store, &["a", "b"]).await;
    let before = master.settles(&["a", "b"]).await;
    drop(master);
    let (b, a) = (running.pop().expect("b"), running.pop().expect("a"));
    let (_a, _b) = tokio::join!(a.restart(), b.restart());
    let master = Master::start(&store, "one", Settings::default()).await;
    let moving = master.sees("a restart", |record| record.epoch > before.epoch).await;
    assert_eq!((members(&moving), lost(&moving)), (vec!["a", "b"], vec!["a", "b"]));
    master.settles(&["a", "b"]).await;
}

#[tokio::test]
async fn a_ring_that_the_store_has_lost_is_written_again_with_all_its_lives() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let _running = peers(&store, &["a", "b", "c"]).await;
    let before = master.settles(&["a", "b", "c"]).await;
    store.lose();
    let after = master.sees("the ring again", |record| record.epoch != before.epoch).await;
    assert!(after.epoch > before.epoch, "{after:?}");
    assert_eq!(
        (after.phase, &after.layout),
        (Phase::Stable, &before.layout),
        "nobody joins or moves"
    );
    master.settles(&["a", "b", "c"]).await;
}

#[tokio::test]
async fn a_master_that_remembers_no_ring_begins_above_the_epoch_that_nodes_serve() {
    let store = Fake::new();
    let master = Master::start(&store, "one", Settings::default()).await;
    let running = peers(&store, &["a", "b"]).await;
    let before = master.settles(&["a", "b"]).await;
    drop(master);
    running.iter().for_each(|peer| peer.lag(true));
    store.lose();
    let master = Master::start(&store, "two", Settings::default()).await;
    let first = master.sees("a first ring", |record| !record.layout.members.is_empty()).await;
    assert!(first.epoch > before.epoch, "{first:?} after {before:?}");
    let moved = |record: &RingRecord| record.phase != Phase::Moving;
    assert!(!master.sees_within(INTERVAL * 5, moved).await, "nobody is synced");
    running.iter().for_each(|peer| peer.lag(false));
    master.sees("a stable ring", |record| record.phase == Phase::Stable).await;
}

#[tokio::test]
async fn who_is_told_of_a_newer_epoch_learns_it_without_the_watch() {
    let store = Fake::new();
    // Not running: as if its watch were late.
    let view = View::new(store.another(), &registry());
    let master = Master::start(&store, "one", Settings::default()).await;
    let _a = Peer::auxiliary(&store, "a").await;
    let epoch = master.settles(&["a"]).await.epoch;
    assert_eq!(view.catch_up(epoch).await.expect("the store answers"), epoch);
}
