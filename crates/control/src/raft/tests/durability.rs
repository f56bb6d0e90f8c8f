//! What is there after a restart, a crash, or damage.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::crash_disk::CrashDisk;
use crate::raft::tests::{eventually, open, open_on, put};
use crate::raft::{RaftOptions, RaftStore};
use crate::types::{Consistency, Range};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let lease = store.lease_grant(Duration::from_secs(60)).await.unwrap();
    for key in 0..50 {
        store.txn(put(format!("k/{key}"), "v", Some(lease.id))).await.unwrap();
    }
    let before = store.range(Range::default(), Consistency::Linearizable).await.unwrap();
    let (term, _) = store.role();
    store.shutdown().await.unwrap();
    drop(store);

    let store = open(&dir).await;
    assert_eq!(
        store.range(Range::default(), Consistency::Linearizable).await.unwrap(),
        before
    );
    assert_eq!(store.keep_alive(lease.id).await.unwrap(), lease.ttl);
    assert!(store.role().0 > term, "the vote survives, so the term grows");
    store.revoke(lease.id).await.unwrap();
    assert!(
        store
            .range(Range::default(), Consistency::Linearizable)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let next = store.lease_grant(Duration::from_secs(60)).await.unwrap();
    assert_ne!(next.id, lease.id);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn snapshots_bound_the_log_and_a_restart_uses_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    (options.snapshot_entries, options.snapshot_keep_entries) = (50, 0);
    options.segment_bytes = 4_096;
    let store = RaftStore::open(options.clone()).await.unwrap();
    for write in 0..500 {
        store
            .put(&format!("k/{}", write % 10), vec![b'v'; 100].into(), None)
            .await
            .unwrap();
    }
    let before = store.range(Range::default(), Consistency::Linearizable).await.unwrap();
    let count = |part: &str| fs::read_dir(dir.path().join(part)).unwrap().count();
    eventually("old segments are removed", async || count("log") <= 6).await;
    eventually("two snapshots are kept", async || count("snapshots") == 2).await;
    store.shutdown().await.unwrap();
    drop(store);

    let store = RaftStore::open(options).await.unwrap();
    assert_eq!(
        store.range(Range::default(), Consistency::Linearizable).await.unwrap(),
        before
    );
    let revision = store.put("k/0", "new".into(), None).await.unwrap();
    assert_eq!(revision, before.revision + 1);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn large_entries_make_a_snapshot_before_they_are_many_and_do_not_stay_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.snapshot_bytes = 1 << 20;
    let store = RaftStore::open(options).await.unwrap();
    for write in 0..12 {
        store
            .put(&format!("k/{write}"), vec![b'v'; 100 * 1024].into(), None)
            .await
            .unwrap();
    }
    eventually("a snapshot is made", async || {
        fs::read_dir(dir.path().join("snapshots")).unwrap().count() > 0
    })
    .await;
    eventually("the log is shortened", async || store.log.beyond(1 << 20).is_none()).await;
    let held = store.range(Range::prefix("k/"), Consistency::Linearizable).await.unwrap();
    assert_eq!(held.items.len(), 12);
    store.shutdown().await.unwrap();
}

/// Power fails again and again under concurrent writers: whatever was acknowledged is there afterwards.
#[tokio::test]
async fn a_crash_loses_only_what_was_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    for round in 0..6_u64 {
        let disk = CrashDisk::default();
        disk.slow_syncs(Duration::from_millis(1));
        let mut options = RaftOptions::new(dir.path(), "m1");
        (options.snapshot_entries, options.segment_bytes) = (40, 8_192);
        let store = open_on(&disk, options).await.unwrap();
        let held = store.range(Range::default(), Consistency::Linearizable).await.unwrap();
        let held: BTreeMap<_, _> = held.items.into_iter().map(|kv| (kv.key, kv.mod_revision)).collect();
        for (key, revision) in acknowledged.lock().iter() {
            assert_eq!(held.get(key), Some(revision), "round {round}: {key}");
        }
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
                tokio::spawn(async move {
                    for write in 0.. {
                        let key = format!("{round}/{writer}/{write}");
                        match store.put(&key, vec![b'v'; 64].into(), None).await {
                            Ok(revision) => drop(acknowledged.lock().insert(key, revision)),
                            Err(_) => break,
                        }
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(60 + round * 17)).await;
        disk.crash(round * 50);
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(matches!(store.stopped().await, Error::Damaged(_)));
        assert!(store.shutdown().await.is_err());
    }
    assert!(acknowledged.lock().len() > 100, "{} writes", acknowledged.lock().len());
}

#[tokio::test]
async fn a_failed_disk_stops_the_engine_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::default();
    let store = open_on(&disk, RaftOptions::new(dir.path(), "m1")).await.unwrap();
    store.put("a", "1".into(), None).await.unwrap();
    disk.fail_syncs();
    let refused = store.put("b", "2".into(), None).await;
    assert!(
        matches!(&refused, Err(Error::Damaged(message)) if message.contains("the disk is broken")),
        "{refused:?}"
    );
    let refused = store.get("a", Consistency::Linearizable).await;
    assert!(matches!(&refused, Err(Error::Damaged(_))), "{refused:?}");
    assert!(matches!(store.stopped().await, Error::Damaged(_)));
    assert!(matches!(store.shutdown().await, Err(Error::Damaged(_))));
}

#[tokio::test]
async fn a_damaged_log_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.put("a", "1".into(), None).await.unwrap();
    store.put("b", "1".into(), None).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let path = dir.path().join("log").join(format!("{:020}.log", 1));
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 4;
    fs::write(&path, bytes).unwrap();
    let refused = RaftStore::open(RaftOptions::new(dir.path(), "m1")).await;
    let Err(Error::Damaged(message)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        message.contains(path.to_str().unwrap()) && message.contains("cluster restore"),
        "{message}"
    );
}

#[tokio::test]
async fn a_snapshot_without_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.snapshot_entries = 5;
    let store = RaftStore::open(options.clone()).await.unwrap();
    for _ in 0..20 {
        store.put("a", "1".into(), None).await.unwrap();
    }
    eventually("a snapshot is made", async || {
        fs::read_dir(dir.path().join("snapshots")).unwrap().count() > 0
    })
    .await;
    store.shutdown().await.unwrap();
    drop(store);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert!(matches!(RaftStore::open(options).await, Err(Error::Damaged(_))));
}

#[tokio::test]
async fn two_processes_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let refused = RaftStore::open(RaftOptions::new(dir.path(), "m1")).await;
    let Err(Error::Unavailable(message)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        message.contains("in use") && message.contains(dir.path().to_str().unwrap()),
        "{message}"
    );
    store.shutdown().await.unwrap();
    open(&dir).await.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_dropped_store_lets_go_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.put("a", "1".into(), None).await.unwrap();
    drop(store);
    eventually("the directory is free", async || {
        match RaftStore::open(RaftOptions::new(dir.path(), "m1")).await {
            Ok(store) => store.get("a", Consistency::Linearizable).await.unwrap().is_some(),
            Err(_) => false,
        }
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let refused = RaftStore::open(RaftOptions::new(file.join("raft"), "m1")).await;
    let Err(Error::Unavailable(message)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        message.contains(file.to_str().unwrap()) && message.contains("cannot be written"),
        "{message}"
    );
}
