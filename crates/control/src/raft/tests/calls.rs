//! Calls that succeed, calls that are refused, and what they cost.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::raft::crash_disk::CrashDisk;
use crate::raft::{InitialMember, RaftOptions, RaftStore};
use crate::types::{Compare, Consistency, Op, OpResult, Range, Txn};
use crate::{ControlStore as _, raft::tests};

#[tokio::test]
async fn a_new_store_leads_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let store = tests::open(&dir).await;
    let took = begun.elapsed();
    assert!(store.is_raft_leader());
    assert!(
        took < Duration::from_millis(900),
        "well before an election timeout, not after {took:?}"
    );
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_write_is_there_for_every_read_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = tests::open(&dir).await;
    let revision = store.put("a/1", "one".into(), None).await.unwrap();
    let read = store.get("a/1", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!((read.mod_revision, &read.value[..]), (revision, &b"one"[..]));
    let listed = store.range(Range::prefix("a/"), Consistency::Stale).await.unwrap();
    assert_eq!(listed.items, [read]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_only_reads_stays_out_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = tests::open(&dir).await;
    store.put("a", "1".into(), None).await.unwrap();
    let before = store.metrics.syncs();
    let txn = Txn {
        compares: vec![Compare::Exists("a".to_owned())],
        then: vec![Op::Get { key: "a".to_owned() }],
        ..Txn::default()
    };
    let response = store.txn(txn).await.unwrap();
    assert!(response.succeeded && matches!(&response.results[..], [OpResult::Range(read)] if read.items.len() == 1));
    assert_eq!(store.metrics.syncs(), before);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn many_writers_share_few_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::default();
    disk.slow_syncs(Duration::from_millis(4));
    let store = tests::open_on(&disk, RaftOptions::new(dir.path(), "m1")).await.unwrap();
    let (syncs_before, _) = store.metrics.syncs();
    let writers = (0..64).map(|writer| {
        let store = &store;
        async move {
            for write in 0..20 {
                store.put(&format!("{writer}/{write}"), "v".into(), None).await.unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
    let syncs = store.metrics.syncs().0 - syncs_before;
    assert!(syncs * 10 <= 64 * 20, "{syncs} syncs for {} writes", 64 * 20);
    assert_eq!(
        store
            .range(Range::default(), Consistency::Linearizable)
            .await
            .unwrap()
            .items
            .len(),
        64 * 20
    );
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_full_quota_stops_the_users_keys_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.kv_quota_bytes = 2_000;
    let store = RaftStore::open(options).await.unwrap();
    store.put("kv/a", vec![0; 1_500].into(), None).await.unwrap();
    let refused = store.put("kv/b", vec![0; 1_500].into(), None).await;
    assert!(
        matches!(refused, Err(Error::QuotaExceeded { quota: 2_000, .. })),
        "{refused:?}"
    );
    let lease = store.lease_grant(Duration::from_secs(60)).await.unwrap();
    store
        .txn(tests::put("members/worker/w1", "{}", Some(lease.id)))
        .await
        .unwrap();
    store.put("jobs/records/1", vec![0; 5_000].into(), None).await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn bad_transactions_are_refused_before_they_reach_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = tests::open(&dir).await;
    let before = store.metrics.syncs();
    let mut twice = tests::put("a", "1", None);
    twice.then.extend(tests::put("a", "2", None).then);
    let huge = tests::put("a", vec![0; 2 * 1024 * 1024], None);
    let nameless = tests::put("", "1", None);
    for txn in [twice, huge, nameless] {
        assert!(matches!(store.txn(txn).await, Err(Error::Invalid(_))));
    }
    assert_eq!(store.metrics.syncs(), before);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stopped_engine_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = tests::open(&dir).await;
    store.shutdown().await.unwrap();
    assert!(matches!(store.put("a", "1".into(), None).await, Err(Error::Unavailable(_))));
    assert!(matches!(
        store.get("a", Consistency::Linearizable).await,
        Err(Error::Unavailable(_))
    ));
    assert!(matches!(store.stopped().await, Error::Unavailable(_)));
}

#[tokio::test]
async fn several_masters_need_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.initial_cluster = InitialMember::parse_list("m1=h1:9000,m2=h2:9000").unwrap();
    assert!(matches!(RaftStore::open(options).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn metrics_show_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let registry = prometheus::Registry::new();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.registry = Some(registry.clone());
    let store = RaftStore::open(options).await.unwrap();
    let revision = store.put("a", "1".into(), None).await.unwrap();
    let gauge = |name: &str| {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric()[0].get_gauge().get_value()
    };
    assert_eq!(gauge("control_store_revision"), revision as f64);
    assert!(gauge("control_store_db_bytes") > 0.0 && gauge("raft_applied_index") > 0.0);
    tests::eventually("the role is shown", async || {
        gauge("raft_is_leader") == 1.0 && gauge("raft_term") > 0.0
    })
    .await;
    let names: Vec<_> = registry.gather().iter().map(|family| family.name().to_owned()).collect();
    assert!(names.contains(&"raft_fsync_seconds".to_owned()) && names.contains(&"raft_fsync_batch_entries".to_owned()));
    store.shutdown().await.unwrap();
}
