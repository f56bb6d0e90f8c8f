//! Leases end when they are silent, and only then.

use std::time::{Duration, Instant};

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::tests::{eventually, open, put};
use crate::types::Consistency;

const SHORT: Duration = Duration::from_millis(600);

#[tokio::test]
async fn a_silent_lease_takes_its_keys_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let begun = Instant::now();
    let lease = store.lease_grant(SHORT).await.unwrap();
    store.txn(put("members/worker/w1", "{}", Some(lease.id))).await.unwrap();
    store.put("stays", "1".into(), None).await.unwrap();
    eventually("the key vanishes", async || {
        store
            .get("members/worker/w1", Consistency::Linearizable)
            .await
            .unwrap()
            .is_none()
    })
    .await;
    assert!(begun.elapsed() >= SHORT, "not before its time");
    assert_eq!(store.keep_alive(lease.id).await, Err(Error::LeaseNotFound));
    assert_eq!(store.txn(put("a", "1", Some(lease.id))).await, Err(Error::LeaseNotFound));
    assert!(store.get("stays", Consistency::Linearizable).await.unwrap().is_some());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_kept_alive_lives() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let lease = store.lease_grant(SHORT).await.unwrap();
    store.txn(put("a", "1", Some(lease.id))).await.unwrap();
    let begun = Instant::now();
    let (_, written) = store.metrics.syncs();
    while begun.elapsed() < 3 * SHORT {
        assert_eq!(store.keep_alive(lease.id).await.unwrap(), SHORT);
        tokio::time::sleep(SHORT / 4).await;
    }
    assert!(store.get("a", Consistency::Linearizable).await.unwrap().is_some());
    assert_eq!(store.metrics.syncs().1, written, "keep-alives stay out of the log");
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_gives_every_lease_its_full_ttl_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let lease = store.lease_grant(SHORT).await.unwrap();
    store.txn(put("a", "1", Some(lease.id))).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    tokio::time::sleep(SHORT).await;
    let store = open(&dir).await;
    assert!(store.get("a", Consistency::Linearizable).await.unwrap().is_some());
    eventually("it ends after another ttl", async || {
        store.get("a", Consistency::Linearizable).await.unwrap().is_none()
    })
    .await;
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn wishes_beyond_the_bounds_are_brought_within_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    assert_eq!(
        store.lease_grant(Duration::ZERO).await.unwrap().ttl,
        Duration::from_millis(500)
    );
    let long = store.lease_grant(Duration::MAX).await.unwrap();
    assert_eq!(store.keep_alive(long.id).await.unwrap(), long.ttl);
    store.shutdown().await.unwrap();
}
