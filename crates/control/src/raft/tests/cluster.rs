//! Several masters: what they agree on while some of them are gone, and what each answers.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::network::message::Call;
use crate::raft::tests::world::{World, member};
use crate::raft::tests::{eventually, put};
use crate::types::{Consistency, Range};

#[tokio::test]
async fn three_nodes_agree_and_outlive_their_leader() {
    let mut world = World::start(3).await;
    let old = world.leader().await;
    let lease = old.lease_grant(Duration::from_secs(60)).await.unwrap();
    old.txn(put("leased", "v", Some(lease.id))).await.unwrap();
    for write in 0..20 {
        old.put(&format!("before/{write}"), "v".into(), None).await.unwrap();
    }
    world.cut(old.name());

    let new = world.leader().await;
    assert_ne!(new.name(), old.name());
    assert!(
        old.put("lost", "v".into(), None).await.is_err(),
        "a leader without a quorum acknowledges nothing"
    );
    assert!(
        old.get("leased", Consistency::Linearizable).await.is_err(),
        "and answers no linearizable read"
    );
    assert_eq!(new.keep_alive(lease.id).await.unwrap(), lease.ttl);
    for write in 0..100 {
        new.put(&format!("after/{write}"), "v".into(), None).await.unwrap();
    }

    // The old leader has an entry that must give way, and has missed more than the others' logs still hold.
    world.mend();
    everybody_has(
        &world,
        &new.range(Range::default(), Consistency::Linearizable).await.unwrap().items,
    )
    .await;
    assert!(old.metrics.received() >= 1, "it was brought up by a snapshot");

    // And again after a restart of a follower.
    let follower = world.follower().await.name().to_owned();
    world.stop(&follower).await;
    world.leader().await.put("while away", "v".into(), None).await.unwrap();
    let follower = world.open(&follower, &[]).await;
    eventually("the restarted node catches up", async || {
        follower.get("while away", Consistency::Stale).await.unwrap().is_some()
    })
    .await;
    world.end().await;
}

async fn everybody_has(world: &World, items: &[crate::types::KeyValue]) {
    for store in world.stores.values() {
        eventually("everybody has everything", async || {
            store.range(Range::default(), Consistency::Stale).await.unwrap().items == items
        })
        .await;
    }
}

#[tokio::test]
async fn every_master_answers_alike() {
    let world = World::start(3).await;
    let (leader, follower) = (world.leader().await, world.follower().await);
    let revision = follower.put("a", "1".into(), None).await.unwrap();
    for store in world.stores.values() {
        let read = store.get("a", Consistency::Linearizable).await.unwrap().unwrap();
        assert_eq!(read.mod_revision, revision);
    }
    let lease = follower.lease_grant(Duration::from_millis(700)).await.unwrap();
    follower.txn(put("leased", "v", Some(lease.id))).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < 2 * lease.ttl {
        assert_eq!(follower.keep_alive(lease.id).await, Ok(lease.ttl));
        tokio::time::sleep(lease.ttl / 4).await;
    }
    let mut watch = follower.watch("leased".to_owned(), 0).await.unwrap();
    eventually("the lease ends", async || {
        leader.get("leased", Consistency::Linearizable).await.unwrap().is_none()
    })
    .await;
    assert_eq!(watch.next().await.unwrap().unwrap()[0].key(), "leased");
    assert_eq!(follower.keep_alive(lease.id).await, Err(Error::LeaseNotFound));
    world.end().await;
}

#[tokio::test]
async fn five_nodes_outlive_two_and_refuse_without_a_majority() {
    let mut world = World::start(5).await;
    world.leader().await.put("a", "1".into(), None).await.unwrap();
    for _ in 0..2 {
        let leader = world.leader().await;
        world.cut(leader.name());
        world
            .leader()
            .await
            .put("b", leader.name().to_owned().into(), None)
            .await
            .unwrap();
    }
    let third = world.follower().await;
    world.cut(third.name());
    let left = world.stores.values().find(|store| !world.is_cut(store.name())).unwrap();
    eventually("what is missing is said", async || {
        match left.put("c", "3".into(), None).await {
            Err(Error::Unavailable(text)) => text.contains("no majority: m") && text.contains("do not answer"),
            Err(Error::Timeout(_)) => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
    let refused = left.get("a", Consistency::Linearizable).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(left.get("a", Consistency::Stale).await.unwrap().is_some());
    let status = left.status().await;
    assert!(!status.quorum && status.trouble.is_some(), "{status:?}");

    world.mend();
    world.leader().await.put("d", "4".into(), None).await.unwrap();
    let names: Vec<String> = world.stores.keys().cloned().collect();
    for name in &names {
        world.stop(name).await;
    }
    let starting: Vec<_> = names.iter().map(|name| (name.clone(), world.starting(name, &[]))).collect();
    for (name, starting) in starting {
        world.stores.insert(name, starting.await.unwrap().unwrap());
    }
    for store in world.stores.values() {
        assert!(store.get("d", Consistency::Linearizable).await.unwrap().is_some());
    }
    world.end().await;
}

#[tokio::test]
async fn a_forwarded_write_of_unknown_outcome_is_not_sent_again() {
    let world = World::start(3).await;
    let follower = world.follower().await;
    let before = world.carried("store");
    world.swallow("store");
    let unknown = follower.put("a", "1".into(), None).await;
    assert!(matches!(unknown, Err(Error::Timeout(_))), "{unknown:?}");
    assert_eq!(world.carried("store"), before + 1);
    assert_eq!(follower.metrics.forwards("unknown"), 1);
    world.swallow_nothing();
    let written = follower.get("a", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!(written.version, 1);
    world.end().await;
}

#[tokio::test]
async fn one_question_serves_all_reads_that_wait() {
    let world = World::start(3).await;
    let follower = world.follower().await;
    let before = world.carried("read-index");
    let reads = (0..200).map(|_| follower.get("a", Consistency::Linearizable));
    for read in futures::future::join_all(reads).await {
        assert_eq!(read, Ok(None));
    }
    let asked = world.carried("read-index") - before;
    assert!(asked < 40, "{asked} questions for 200 reads");
    world.end().await;
}

#[tokio::test]
async fn a_stopped_leader_hands_over_first() {
    let mut world = World::start(3).await;
    let leader = world.leader().await.name().to_owned();
    let begun = Instant::now();
    world.stop(&leader).await;
    let left = world.stores.values().next().unwrap();
    left.put("a", "1".into(), None).await.unwrap();
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(300),
        "no election timeout had to pass, but {took:?} did"
    );
    world.end().await;
}

#[tokio::test]
async fn a_cluster_begins_when_all_are_there() {
    let mut world = World::start(0).await;
    world.initial = ["m1", "m2", "m3"].map(member).into();
    let (first, second) = (world.starting("m1", &[]), world.starting("m2", &[]));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!first.is_finished() && !second.is_finished());
    let third = world.starting("m3", &[]).await.unwrap().unwrap();
    third.put("a", "1".into(), None).await.unwrap();
    for starting in [first, second] {
        let store = starting.await.unwrap().unwrap();
        assert!(store.get("a", Consistency::Linearizable).await.unwrap().is_some());
        world.stores.insert(store.name().to_owned(), store);
    }
    third.shutdown().await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_wiped_directory_is_refused() {
    let mut world = World::start(3).await;
    world.leader().await.put("a", "1".into(), None).await.unwrap();
    world.stop("m3").await;
    world.dirs.remove("m3");
    let refused = world.starting("m3", &[]).await.unwrap();
    match refused {
        Err(Error::Invalid(text)) => assert!(text.contains("elasticore cluster remove m3"), "{text}"),
        other => panic!("{other:?}"),
    }
    // It keeps out for good: the others took no notice of it.
    world.leader().await.put("b", "2".into(), None).await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn a_log_that_vanished_is_refused() {
    let mut world = World::start(3).await;
    world.leader().await.put("a", "1".into(), None).await.unwrap();
    world.stop("m3").await;
    for part in ["log", "snapshots"] {
        std::fs::remove_dir_all(world.dir("m3").join(part)).unwrap();
    }
    let refused = world.starting("m3", &[]).await.unwrap();
    assert!(
        matches!(&refused, Err(Error::Damaged(text)) if text.contains("is missing")),
        "{refused:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let (world, other) = (World::start(3).await, World::start(1).await);
    let stranger = &other.stores["m1"];
    let known = world.leader().await;
    let call = || Call::ReadIndex;
    let refused = {
        // The same way to it, another cluster.
        let endpoint = std::sync::Arc::clone(&known.local.endpoint);
        let request = crate::raft::network::Request {
            version: crate::raft::network::message::VERSION,
            cluster: stranger.local.identity.cluster(),
            from: stranger.local.identity.id(),
            store: stranger.local.identity.store(),
            address: String::new(),
            to: known.local.identity.id(),
            call: call(),
        };
        endpoint.answer(request).await.outcome
    };
    assert!(refused.is_err(), "{refused:?}");
    world.end().await;
    other.end().await;
}
