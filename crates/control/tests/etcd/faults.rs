//! The etcd engine while servers die, hang, lose their quorum and compact.

use std::sync::Arc;
use std::time::Duration;

use control::conformance::{EtcdCluster, EtcdServer, Store, Watcher};
use control::etcd::{EtcdOptions, EtcdStore};
use control::{Consistency, ControlStore, Error, Event, LeaseId, Range, Result, Txn};
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// A call may overrun its deadline by what a loaded machine needs to notice.
const DEADLINE: Duration = Duration::from_secs(5);

fn options(endpoints: Vec<String>) -> EtcdOptions {
    EtcdOptions {
        request_timeout: REQUEST_TIMEOUT,
        keep_alive: Duration::from_secs(1),
        ..EtcdOptions::new(endpoints)
    }
}

async fn connect(endpoints: Vec<String>) -> Store {
    Arc::new(EtcdStore::connect(options(endpoints)).await.unwrap())
}

async fn put(store: &Store, key: &str) -> Result<u64> {
    store.put(key, "value".into(), None).await
}

/// Puts until it works, as a caller would that may write twice.
async fn put_at_last(store: &Store, key: &str) -> u64 {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        match put(store, key).await {
            Ok(revision) => return revision,
            Err(error) => assert!(Instant::now() < give_up, "{error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// How each kind of call ends; none may outlast the deadline.
async fn every_call(store: &Store) -> Vec<(&'static str, Error)> {
    async fn failure<T>(name: &'static str, call: impl Future<Output = Result<T>>) -> (&'static str, Error) {
        let outcome = timeout(DEADLINE, call).await.unwrap_or_else(|_| panic!("{name} hangs"));
        (name, outcome.err().unwrap_or_else(|| panic!("{name} succeeded")))
    }
    let everything = || Range::prefix("");
    let (a, b, c, d, e, f, g, h, i) = tokio::join!(
        failure("get", store.get("key", Consistency::Linearizable)),
        failure("range", store.range(everything(), Consistency::Linearizable)),
        failure("read-only txn", store.txn(Txn::default())),
        failure("put", put(store, "key")),
        failure("lease_grant", store.lease_grant(Duration::from_secs(10))),
        failure("keep_alive", store.keep_alive(LeaseId(7))),
        failure("revoke", store.revoke(LeaseId(7))),
        failure("watch", store.watch("key".to_owned(), 1)),
        failure("watch from now", store.watch("key".to_owned(), 0)),
    );
    vec![a, b, c, d, e, f, g, h, i]
}

#[tokio::test]
async fn dead_server_is_unavailable() {
    let mut server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    put(&store, "key").await.unwrap();
    server.kill();
    // The first call may still find the connection open, and cannot know.
    let _ = put(&store, "key").await;
    for (call, error) in every_call(&store).await {
        assert!(matches!(error, Error::Unavailable(_)), "{call}: {error:?}");
    }
    server.restart().await;
    put(&store, "key").await.unwrap();
}

#[tokio::test]
async fn server_that_hangs_is_left_at_the_deadline_with_the_outcome_unknown() {
    let server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    put(&store, "key").await.unwrap();
    server.pause();
    for (call, error) in every_call(&store).await {
        let unknown = matches!(error, Error::Timeout(_));
        assert!(unknown || call.starts_with("watch"), "{call}: {error:?}");
    }
    server.resume();
    put_at_last(&store, "key").await;
}

#[tokio::test]
async fn port_that_accepts_and_says_nothing_does_not_hang_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = connect(vec![listener.local_addr().unwrap().to_string()]).await;
    for (call, error) in every_call(&store).await {
        assert!(
            matches!(error, Error::Timeout(_) | Error::Unavailable(_)),
            "{call}: {error:?}"
        );
    }
}

#[tokio::test]
async fn dead_endpoint_in_the_list_costs_nothing() {
    let server = EtcdServer::start(&[]).await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let store = connect(vec![free, server.endpoint()]).await;
    let started = Instant::now();
    for _ in 0..20 {
        put(&store, "key").await.unwrap();
    }
    assert!(started.elapsed() < REQUEST_TIMEOUT);
}

#[tokio::test]
async fn watch_goes_on_over_restarts_without_a_gap() {
    let mut server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    let mut idle = Watcher::open(&store, "key", 0).await;
    let mut watch = Watcher::open(&store, "key", 0).await;
    for _ in 0..3 {
        let first = put(&store, "key").await.unwrap();
        assert_eq!(watch.until(first).await.len(), 1);
        let unread = put(&store, "key").await.unwrap();
        server.restart().await;
        let last = put_at_last(&store, "key").await;
        let seen: Vec<_> = watch.until(last).await.iter().map(Event::revision).collect();
        assert_eq!(seen, (unread..=last).collect::<Vec<_>>());
    }
    let last = put(&store, "key").await.unwrap();
    let seen = idle.until(last).await;
    assert_eq!(seen.len() as u64, last - seen[0].revision() + 1);
}

#[tokio::test]
async fn watch_ends_with_an_error_when_no_server_comes_back() {
    let mut server = EtcdServer::start(&[]).await;
    let options = EtcdOptions {
        watch_patience: Duration::from_secs(1),
        ..options(vec![server.endpoint()])
    };
    let store = EtcdStore::connect(options).await.unwrap();
    let mut watch = store.watch("key".to_owned(), 0).await.unwrap();
    server.kill();
    let end = timeout(DEADLINE, watch.next())
        .await
        .expect("it ends")
        .expect("with an error");
    assert!(matches!(end, Err(Error::Unavailable(_))), "{end:?}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn watch_of_a_server_that_lost_its_data_ends_and_its_reader_looks_anew() {
    let mut server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    let mut last = 0;
    for _ in 0..5 {
        last = put(&store, "key").await.unwrap();
    }
    let mut watch = store.watch("key".to_owned(), last + 1).await.unwrap();
    server.lose_data();
    server.restart().await;
    let end = timeout(DEADLINE, watch.next())
        .await
        .expect("it ends")
        .expect("with an error");
    assert!(
        matches!(end, Err(Error::Compacted { requested, .. }) if requested == last + 1),
        "{end:?}"
    );
}

#[tokio::test]
async fn idle_watch_survives_its_signs_of_life() {
    let server = EtcdServer::start(&[]).await;
    let options = EtcdOptions {
        keep_alive: Duration::from_millis(200),
        ..options(vec![server.endpoint()])
    };
    let store: Store = Arc::new(EtcdStore::connect(options).await.unwrap());
    let mut watch = store.watch("key".to_owned(), 0).await.unwrap();
    let silent = timeout(Duration::from_secs(3), watch.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    let at = put(&store, "key").await.unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap()[0].revision(), at);
}

#[tokio::test]
async fn compacted_revision_is_said_to_be_so() {
    let server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    let mut last = 0;
    for _ in 0..20 {
        last = put(&store, "key").await.unwrap();
    }
    let mut etcd = etcd_client::Client::connect([server.endpoint()], None).await.unwrap();
    let oldest = last - 5;
    etcd.compact(oldest as i64, None).await.unwrap();

    let mut watch = store.watch("key".to_owned(), 2).await.unwrap();
    let end = timeout(DEADLINE, watch.next())
        .await
        .expect("it ends")
        .expect("with an error");
    assert_eq!(end, Err(Error::Compacted { requested: 2, oldest }));
    assert!(watch.next().await.is_none());

    let seen = Watcher::open(&store, "key", oldest).await.until(last).await;
    assert_eq!(seen.len(), 6, "what is kept is replayed");
}

#[tokio::test]
async fn full_server_still_answers_reads_and_says_that_nothing_was_written() {
    let server = EtcdServer::start(&["--quota-backend-bytes=2000000"]).await;
    let store = connect(vec![server.endpoint()]).await;
    let value = bytes::Bytes::from(vec![7; 200_000]);
    let refused = loop {
        if let Err(error) = store.put("key", value.clone(), None).await {
            break error;
        }
    };
    assert!(
        matches!(&refused, Error::Unavailable(reason) if reason.contains("space")),
        "{refused:?}"
    );
    assert!(store.get("key", Consistency::Linearizable).await.unwrap().is_some());
}

#[tokio::test]
async fn key_that_is_no_text_is_reported_not_mangled() {
    let server = EtcdServer::start(&[]).await;
    let store = connect(vec![server.endpoint()]).await;
    let mut etcd = etcd_client::Client::connect([server.endpoint()], None).await.unwrap();
    etcd.put(&b"other/\xff"[..], "", None).await.unwrap();
    let listed = store.range(Range::prefix("other/"), Consistency::Linearizable).await;
    assert!(matches!(listed, Err(Error::Damaged(_))), "{listed:?}");
}

#[tokio::test]
async fn endpoints_that_make_no_sense_are_refused() {
    for endpoints in [vec![], vec!["not an address".to_owned()]] {
        let refused = EtcdStore::connect(EtcdOptions::new(endpoints)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_survives_each_of_its_members() {
    let mut cluster = EtcdCluster::start(3).await;
    let store = connect(cluster.endpoints()).await;
    let lease = store.lease_grant(Duration::from_secs(60)).await.unwrap();
    let first = put(&store, "key/0").await.unwrap();
    let mut watch = Watcher::open(&store, "key/", first).await;
    let mut last = first;
    for member in 0..3 {
        cluster.members[member].kill();
        for i in 0..5 {
            last = put_at_last(&store, &format!("key/{member}-{i}")).await;
            assert!(store.get("key/0", Consistency::Linearizable).await.unwrap().is_some());
            assert_eq!(store.keep_alive(lease.id).await, Ok(lease.ttl));
        }
        cluster.members[member].restart().await;
    }
    let seen: Vec<_> = watch.until(last).await.iter().map(Event::revision).collect();
    assert_eq!(seen, (first..=last).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_leaves_a_member_that_hangs() {
    let cluster = EtcdCluster::start(3).await;
    let store = connect(cluster.endpoints()).await;
    let mut watch = Watcher::open(&store, "key", 0).await;
    cluster.members[0].pause();
    let last = put_at_last(&store, "key").await;
    let seen = watch.next_within(Duration::from_secs(20)).await;
    assert!(seen[0].revision() <= last);
    cluster.members[0].resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_written_and_no_lease_is_declared_lost() {
    let mut cluster = EtcdCluster::start(3).await;
    let store = connect(cluster.endpoints()).await;
    let lease = store.lease_grant(Duration::from_secs(60)).await.unwrap();
    put(&store, "key").await.unwrap();
    cluster.members[1].kill();
    cluster.members[2].kill();
    // Until the member left has noticed, it may take proposals.
    let give_up = Instant::now() + Duration::from_secs(20);
    while !matches!(put(&store, "key").await, Err(Error::Unavailable(_))) {
        assert!(Instant::now() < give_up, "the lost quorum is never noticed");
    }
    let kept = store.keep_alive(lease.id).await;
    assert!(matches!(kept, Err(Error::Unavailable(_) | Error::Timeout(_))), "{kept:?}");
    let stale = store.get("key", Consistency::Stale).await.unwrap();
    assert!(stale.is_some(), "a stale read needs no quorum");
    cluster.members[1].restart().await;
    assert_eq!(store.keep_alive(lease.id).await, Ok(lease.ttl));
    put_at_last(&store, "key").await;
}
