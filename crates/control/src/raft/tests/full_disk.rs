//! A full disk stops writes for a while, and nothing else.

use std::time::Duration;

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::RaftOptions;
use crate::raft::crash_disk::CrashDisk;
use crate::raft::tests::world::World;
use crate::raft::tests::{eventually, open_on};
use crate::types::Consistency;

#[tokio::test]
async fn a_full_disk_makes_the_store_read_only_until_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::default();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.request_timeout = Duration::from_secs(2);
    let store = open_on(&disk, options.clone()).await.unwrap();
    store.put("a", "1".into(), None).await.unwrap();
    disk.fill(7);
    let unknown = store.put("b", vec![b'v'; 500].into(), None).await;
    assert!(matches!(unknown, Err(Error::Timeout(_))), "{unknown:?}");
    let refused = store.put("c", "3".into(), None).await;
    assert!(
        matches!(&refused, Err(Error::Unavailable(text)) if text.contains("is full")),
        "{refused:?}"
    );
    assert!(store.get("a", Consistency::Linearizable).await.unwrap().is_some());
    assert!(store.status().await.disk_full);

    disk.make_space();
    eventually("writes go on", async || store.put("d", "4".into(), None).await.is_ok()).await;
    assert!(!store.status().await.disk_full);
    assert!(
        store.get("b", Consistency::Linearizable).await.unwrap().is_some(),
        "what waited was written"
    );
    store.shutdown().await.unwrap();
    let store = open_on(&disk, options).await.unwrap();
    for key in ["a", "b", "d"] {
        assert!(store.get(key, Consistency::Linearizable).await.unwrap().is_some(), "{key}");
    }
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_with_a_full_disk_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::default();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.request_timeout = Duration::from_secs(1);
    let store = open_on(&disk, options.clone()).await.unwrap();
    store.put("a", "1".into(), None).await.unwrap();
    disk.fill(0);
    assert!(store.put("b", "2".into(), None).await.is_err());
    tokio::time::timeout(Duration::from_secs(5), store.shutdown())
        .await
        .unwrap()
        .unwrap();
    disk.make_space();
    let store = open_on(&disk, options).await.unwrap();
    assert!(store.get("a", Consistency::Linearizable).await.unwrap().is_some());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_leader_with_a_full_disk_lets_another_lead() {
    let world = World::start(3).await;
    let full = world.leader().await.name().to_owned();
    world.disks[&full].fill(0);
    // Two of three can still write it down.
    world.stores[&full].put("a", "1".into(), None).await.unwrap();
    eventually("another leads", async || {
        world
            .stores
            .values()
            .any(|store| store.name() != full && store.is_raft_leader())
    })
    .await;
    let other = world.stores.values().find(|store| store.name() != full).unwrap();
    eventually("writes go on", async || other.put("b", "2".into(), None).await.is_ok()).await;
    world.disks[&full].make_space();
    eventually("it catches up", async || {
        world.stores[&full].get("b", Consistency::Stale).await.unwrap().is_some()
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn without_space_on_a_majority_writes_are_refused_and_reads_are_not() {
    let world = World::start(3).await;
    let leader = world.leader().await;
    leader.put("a", "1".into(), None).await.unwrap();
    let others: Vec<&str> = world
        .disks
        .keys()
        .map(String::as_str)
        .filter(|name| *name != leader.name())
        .collect();
    for name in &others {
        world.disks[*name].fill(0);
    }
    eventually("the reason is given", async || {
        match leader.put("b", "2".into(), None).await {
            Err(Error::Unavailable(text)) => text.contains("the disks of") && others.iter().all(|name| text.contains(name)),
            Err(Error::Timeout(_)) => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert!(leader.get("a", Consistency::Stale).await.unwrap().is_some());
    for name in &others {
        world.disks[*name].make_space();
    }
    eventually("writes go on", async || {
        world.leader().await.put("c", "3".into(), None).await.is_ok()
    })
    .await;
    world.end().await;
}
