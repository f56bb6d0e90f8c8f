//! Watches are ordered, without gaps, and bounded.

use std::sync::Arc;

use futures::StreamExt as _;

use crate::ControlStore as _;
use crate::error::Error;
use crate::raft::tests::{open, put};
use crate::raft::{RaftOptions, RaftStore};
use crate::types::{Event, Op, Txn};

#[tokio::test]
async fn a_watch_sees_history_then_what_comes_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let first = store.put("k/0", "v".into(), None).await.unwrap();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for write in 1..200 {
                store.put(&format!("k/{write}"), "v".into(), None).await.unwrap();
                store.put("other", "v".into(), None).await.unwrap();
            }
        })
    };
    let mut watch = store.watch("k/".to_owned(), first).await.unwrap();
    for write in 0..200 {
        let events = watch.next().await.unwrap().unwrap();
        let keys: Vec<_> = events.iter().map(Event::key).collect();
        assert_eq!(keys, [format!("k/{write}")]);
    }
    writer.await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_watch_from_revision_one_sees_everything_there_ever_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let mut watch = store.watch("k".to_owned(), 1).await.unwrap();
    let (one, other) = (
        store.put("k1", "v".into(), None).await.unwrap(),
        store.put("k2", "v".into(), None).await.unwrap(),
    );
    for (key, revision) in [("k1", one), ("k2", other)] {
        let events = watch.next().await.unwrap().unwrap();
        let seen: Vec<_> = events.iter().map(|event| (event.key(), event.revision())).collect();
        assert_eq!(seen, [(key, revision)]);
    }
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_watch_from_now_sees_nothing_older() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    store.put("a", "old".into(), None).await.unwrap();
    let mut watch = store.watch(String::new(), 0).await.unwrap();
    let revision = store.put("a", "new".into(), None).await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap()[0].revision(), revision);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_transaction_is_one_item() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let mut watch = store.watch(String::new(), 0).await.unwrap();
    let mut txn: Txn = put("a", "1", None);
    txn.then
        .extend([put("b", "1", None).then.remove(0), Op::Delete { key: "none".to_owned() }]);
    store.txn(txn).await.unwrap();
    let events = watch.next().await.unwrap().unwrap();
    assert_eq!(events.iter().map(Event::key).collect::<Vec<_>>(), ["a", "b"]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_watcher_that_falls_behind_the_history_is_told_to_list_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = RaftOptions::new(dir.path(), "m1");
    options.history_revisions = 10;
    let store = RaftStore::open(options).await.unwrap();
    let mut slow = store.watch(String::new(), 0).await.unwrap();
    let mut first = 0;
    for write in 0..50 {
        let revision = store.put("a", "v".into(), None).await.unwrap();
        first = if write == 0 { revision } else { first };
    }
    let told = slow.next().await.unwrap();
    assert!(
        matches!(told, Err(Error::Compacted { requested, .. }) if requested == first),
        "{told:?}"
    );
    assert!(slow.next().await.is_none(), "the error ends it");
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stopping_engine_ends_its_watches() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir).await;
    let mut watch = store.watch(String::new(), 0).await.unwrap();
    store.shutdown().await.unwrap();
    assert!(matches!(watch.next().await, Some(Err(Error::Unavailable(_)))));
    assert!(watch.next().await.is_none());
}
