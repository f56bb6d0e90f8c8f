//! The remote engine while masters stop, die, hang and lose their store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::masters::{Master, TOKEN, client, raft, remote};
use async_trait::async_trait;
use control::conformance::{Store, Watcher};
use control::remote::RemoteStore;
use control::{
    Consistency, ControlStore, Error, Event, KeyValue, Lease, LeaseId, Range, RangeResponse, Result, Revision, Txn, TxnResponse,
    Watch,
};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// A call may take 6 s; what a loaded machine needs to notice comes on top.
const DEADLINE: Duration = Duration::from_secs(9);

async fn put(store: &Store, key: &str) -> Result<Revision> {
    store.put(key, "value".into(), None).await
}

/// A store that fails every call in one way.
#[derive(Debug)]
struct Failing(Error);

#[async_trait]
impl ControlStore for Failing {
    async fn range(&self, _: Range, _: Consistency) -> Result<RangeResponse> {
        Err(self.0.clone())
    }
    async fn txn(&self, _: Txn) -> Result<TxnResponse> {
        Err(self.0.clone())
    }
    async fn lease_grant(&self, _: Duration) -> Result<Lease> {
        Err(self.0.clone())
    }
    async fn keep_alive(&self, _: LeaseId) -> Result<Duration> {
        Err(self.0.clone())
    }
    async fn revoke(&self, _: LeaseId) -> Result<()> {
        Err(self.0.clone())
    }
    async fn watch(&self, _: String, _: Revision) -> Result<Watch> {
        Err(self.0.clone())
    }
    async fn get(&self, _: &str, _: Consistency) -> Result<Option<KeyValue>> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn errors_arrive_as_they_left() {
    for error in [
        Error::LeaseNotFound,
        Error::Compacted { requested: 3, oldest: 9 },
        Error::Invalid("why".to_owned()),
        Error::QuotaExceeded { used: 2, quota: 1 },
        Error::Damaged("the log".to_owned()),
    ] {
        let master = Master::start(Arc::new(Failing(error.clone()))).await;
        let store = remote(&[&master]);
        assert_eq!(put(&store, "key").await, Err(error.clone()));
        assert_eq!(store.get("key", Consistency::Linearizable).await, Err(error.clone()));
        assert_eq!(store.watch("key".to_owned(), 1).await.err(), Some(error.clone()));
        assert_eq!(store.keep_alive(LeaseId(1)).await, Err(error));
    }
}

#[tokio::test]
async fn write_with_unknown_outcome_is_not_sent_to_another_master() {
    let (good, _directory) = raft().await;
    let unknown = Error::Timeout("who knows".to_owned());
    let (first, second) = (
        Master::start(Arc::new(Failing(unknown.clone()))).await,
        Master::start(good).await,
    );
    let store = remote(&[&first, &second]);
    assert_eq!(put(&store, "key").await, Err(unknown));
    assert_eq!(
        store.get("key", Consistency::Linearizable).await,
        Ok(None),
        "the second master was not asked"
    );
}

#[tokio::test]
async fn master_without_raft_leader_is_passed_over() {
    let (good, _directory) = raft().await;
    let leaderless = Failing(Error::Unavailable("there is no raft leader".to_owned()));
    let (first, second) = (Master::start(Arc::new(leaderless)).await, Master::start(good).await);
    let store = remote(&[&first, &second]);
    put(&store, "key").await.unwrap();
    let started = Instant::now();
    for _ in 0..10 {
        put(&store, "key").await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(2), "it is not asked again and again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_watches_move_to_another_master() {
    let (engine, _directory) = raft().await;
    let (first, second) = (Master::start(Arc::clone(&engine)).await, Master::start(engine).await);
    let store = remote(&[&first, &second]);
    let mut watch = Watcher::open(&store, "key", 0).await;
    let begin = put(&store, "key").await.unwrap();
    assert_eq!(watch.until(begin).await.len(), 1);
    let unread = put(&store, "key").await.unwrap();

    let started = Instant::now();
    first.stop().await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "a watch holds up the stopping master"
    );
    let mut last = unread;
    for _ in 0..10 {
        last = put(&store, "key").await.unwrap();
    }
    let seen: Vec<_> = watch.until(last).await.iter().map(Event::revision).collect();
    assert_eq!(seen, (unread..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn watch_waits_for_its_only_master_to_come_back() {
    let (engine, _directory) = raft().await;
    let master = Master::start(Arc::clone(&engine)).await;
    let (store, address) = (remote(&[&master]), master.address);
    let mut watch = Watcher::open(&store, "key", 0).await;
    master.stop().await;
    let missed = engine.put("key", "value".into(), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _master = Master::start_at(engine, address).await;
    let seen = watch.next_within(Duration::from_secs(15)).await;
    assert_eq!(seen[0].revision(), missed);
}

#[tokio::test]
async fn master_that_accepts_and_says_nothing_does_not_hang_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let store: Store = Arc::new(RemoteStore::new(client(TOKEN), vec![silent]).unwrap());
    let outcomes = tokio::join!(
        timeout(DEADLINE, put(&store, "key")),
        timeout(DEADLINE, store.get("key", Consistency::Linearizable)),
        timeout(DEADLINE, store.keep_alive(LeaseId(1))),
        timeout(DEADLINE, store.watch("key".to_owned(), 1)),
    );
    assert!(matches!(outcomes.0, Ok(Err(Error::Timeout(_)))), "{:?}", outcomes.0);
    assert!(matches!(outcomes.1, Ok(Err(Error::Timeout(_) | Error::Unavailable(_)))));
    assert!(matches!(outcomes.2, Ok(Err(Error::Timeout(_) | Error::Unavailable(_)))));
    assert!(matches!(outcomes.3, Ok(Err(Error::Timeout(_) | Error::Unavailable(_)))));
}

/// A store that says who keeps it, as masters of a cluster do.
#[derive(Debug)]
struct Kept {
    store: Store,
    masters: Mutex<Vec<String>>,
    /// The masters were told, and there were some.
    asked: Notify,
}

#[async_trait]
impl ControlStore for Kept {
    async fn range(&self, range: Range, consistency: Consistency) -> Result<RangeResponse> {
        self.store.range(range, consistency).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnResponse> {
        self.store.txn(txn).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<Lease> {
        self.store.lease_grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        self.store.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<()> {
        self.store.revoke(lease).await
    }

    async fn watch(&self, prefix: String, from: Revision) -> Result<Watch> {
        self.store.watch(prefix, from).await
    }

    async fn get(&self, key: &str, consistency: Consistency) -> Result<Option<KeyValue>> {
        self.store.get(key, consistency).await
    }

    fn masters(&self) -> Vec<String> {
        let masters = self.masters.lock().unwrap().clone();
        if !masters.is_empty() {
            self.asked.notify_one();
        }
        masters
    }
}

#[tokio::test]
async fn node_finds_its_way_when_all_masters_it_was_told_of_are_replaced() {
    let (engine, _directory) = raft().await;
    let kept = Arc::new(Kept {
        store: engine,
        masters: Mutex::default(),
        asked: Notify::new(),
    });
    let (old, new) = (Master::start(kept.clone()).await, Master::start(kept.clone()).await);
    let store = remote(&[&old]);
    let mut watch = Watcher::open(&store, "key", 0).await;
    let before = put(&store, "key").await.unwrap();
    *kept.masters.lock().unwrap() = vec![new.address.to_string()];
    // It is asked now and then; one that stops before that was the only way.
    kept.asked.notified().await;
    old.stop().await;
    let give_up = Instant::now() + 2 * DEADLINE;
    let after = loop {
        match put(&store, "key").await {
            Ok(revision) => break revision,
            Err(error) => assert!(Instant::now() < give_up, "{error}"),
        }
    };
    let seen: Vec<_> = watch.until(after).await.iter().map(Event::revision).collect();
    assert_eq!(seen, [before, after]);
}

#[tokio::test]
async fn no_master_at_all_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let store: Store = Arc::new(RemoteStore::new(client(TOKEN), vec![free]).unwrap());
    let refused = timeout(DEADLINE, put(&store, "key")).await.expect("it does not hang");
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let refused = timeout(DEADLINE, store.watch("key".to_owned(), 0))
        .await
        .expect("it does not hang");
    assert!(matches!(refused.err(), Some(Error::Unavailable(_))));
    assert!(RemoteStore::new(client(TOKEN), Vec::new()).is_err());
}

#[tokio::test]
async fn wrong_cluster_token_is_named() {
    let (engine, _directory) = raft().await;
    let master = Master::start(engine).await;
    let stranger: Store = Arc::new(RemoteStore::new(client("another token"), vec![master.address.to_string()]).unwrap());
    let refused = put(&stranger, "key").await.unwrap_err().to_string();
    assert!(refused.contains("CLUSTER_TOKEN"), "{refused}");
}

#[tokio::test]
async fn idle_watch_outlives_many_heartbeats() {
    let (engine, _directory) = raft().await;
    let master = Master::start(engine).await;
    let store = remote(&[&master]);
    let mut watch = store.watch("key".to_owned(), 0).await.unwrap();
    assert!(
        timeout(Duration::from_secs(9), watch.next()).await.is_err(),
        "nothing happens"
    );
    let at = put(&store, "key").await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap()[0].revision(), at);
}
