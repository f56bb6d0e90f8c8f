//! The raft engine while its process is killed, its callers give up, and its disk is busy.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use control::conformance::{Store, Watcher};
use control::raft::{RaftOptions, RaftStore};
use control::{Consistency, ControlStore, Error, Event, Op, Range, Revision, Txn};
use futures::StreamExt;
use tokio::time::{Instant, sleep};

/// Tells the process that is to be killed where to write.
const DIRECTORY: &str = "CONTROL_TEST_RAFT_DIRECTORY";

async fn open(directory: &Path) -> Arc<RaftStore> {
    let options = RaftOptions {
        // Small, so that a short life sees several segments and snapshots.
        snapshot_entries: 200,
        segment_bytes: 64 * 1024,
        ..RaftOptions::new(directory, "m1")
    };
    // The one before may still be letting go of the directory.
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        match RaftStore::open(options.clone()).await {
            Ok(store) => return store,
            Err(error @ Error::Unavailable(_)) => assert!(Instant::now() < give_up, "{error}"),
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn both(writer: usize, i: usize) -> Txn {
    let put = |side: &str| Op::Put {
        key: format!("kill/{side}/{writer}"),
        value: i.to_string().into(),
        lease: None,
    };
    Txn {
        then: vec![put("left"), put("right")],
        ..Txn::default()
    }
}

/// Not a test of its own: the process that the next one kills. Prints every write that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs as the child of acknowledged_writes_survive_kill_9"]
async fn writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = open(Path::new(&directory)).await;
    let writers = (0..8).map(|writer| {
        let store: Store = store.clone();
        tokio::spawn(async move {
            let key = format!("kill/left/{writer}");
            let begun = store.get(&key, Consistency::Linearizable).await.unwrap();
            let first: usize = begun.map_or(0, |kv| String::from_utf8_lossy(&kv.value).parse().unwrap());
            for i in first + 1.. {
                let at = store.txn(both(writer, i)).await.unwrap().revision;
                println!("acknowledged {writer} {i} {at}");
            }
        })
    });
    futures::future::join_all(writers.collect::<Vec<_>>()).await;
}

fn spawn_writer(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["faults::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a writer live for a number of acknowledged writes; adds the last of each of its tasks.
fn kill_after(directory: &Path, writes: usize, acknowledged: &mut BTreeMap<usize, (usize, Revision)>) {
    let mut child = spawn_writer(directory);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut note = |line: &str| {
        // The harness of the child may put words of its own before the first line.
        let Some((_, line)) = line.split_once("acknowledged ") else {
            return 0;
        };
        let mut numbers = line.split(' ').map_while(|number| number.parse::<u64>().ok());
        let (Some(writer), Some(i), Some(at)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return 0;
        };
        acknowledged.insert(writer as usize, (i as usize, at));
        1
    };
    let mut seen = 0;
    while seen < writes {
        let line = lines.next().expect("the writer lives until it is killed").unwrap();
        seen += note(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still managed to say was acknowledged, too; a last line may be cut.
    let mut rest: Vec<_> = lines.map_while(|line| line.ok()).collect();
    rest.pop();
    rest.iter().for_each(|line| {
        note(line);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut last = 0;
    for writes in [1, 40, 333, 7, 650, 120] {
        kill_after(directory.path(), writes, &mut acknowledged);
        let store = open(directory.path()).await;
        let all = store.range(Range::prefix("kill/"), Consistency::Linearizable).await.unwrap();
        assert!(all.revision >= last, "time ran backward");
        last = all.revision;
        let keys: BTreeMap<_, _> = all.items.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        for (writer, (i, at)) in &acknowledged {
            let (left, right) = (&keys[&format!("kill/left/{writer}")], &keys[&format!("kill/right/{writer}")]);
            assert_eq!(
                (&left.value, left.mod_revision),
                (&right.value, right.mod_revision),
                "a half transaction"
            );
            let held: usize = String::from_utf8_lossy(&left.value).parse().unwrap();
            assert!(held >= *i, "writer {writer}: {i} was acknowledged, {held} is there");
            assert!(
                held > *i || left.mod_revision == *at,
                "writer {writer}: another revision than was acknowledged"
            );
            assert_eq!(left.version, held as u64, "writer {writer}: a write was repeated");
        }
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_outlive_a_flood_of_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store: Store = open(directory.path()).await;
    let lease = store.lease_grant(Duration::from_secs(1)).await.unwrap();
    store.put("leased", "".into(), Some(lease.id)).await.unwrap();
    let writers = (0..128).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let value = bytes::Bytes::from(vec![7; 1024]);
            loop {
                store.put(&format!("flood/{writer}"), value.clone(), None).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        let asked = Instant::now();
        assert_eq!(store.keep_alive(lease.id).await, Ok(lease.ttl));
        assert!(asked.elapsed() < lease.ttl / 2, "a keep-alive took {:?}", asked.elapsed());
        sleep(Duration::from_millis(250)).await;
    }
    for writer in writers {
        writer.abort();
    }
    assert!(store.get("leased", Consistency::Linearizable).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_the_store_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store: Store = open(directory.path()).await;
    let mut watch = Watcher::open(&store, "kill/", 0).await;
    for i in 0..300_usize {
        let writing = tokio::spawn({
            let store = store.clone();
            async move { store.txn(both(i % 4, i)).await }
        });
        sleep(Duration::from_micros((i as u64 * 37) % 2500)).await;
        writing.abort();
    }
    let end = store.txn(both(9, 9)).await.unwrap().revision;
    let events = watch.until(end).await;
    for pair in events.chunks(2) {
        assert_eq!(pair.len(), 2);
        assert_eq!(pair[0].revision(), pair[1].revision());
    }
    let revisions: Vec<_> = events.iter().step_by(2).map(Event::revision).collect();
    assert!(
        revisions.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "a revision is missing: {revisions:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_from_before_a_restart_replays_or_is_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let mut from = 0;
    for round in 0..4_usize {
        let store = open(directory.path()).await;
        let mut revisions = Vec::new();
        for i in 0..90 {
            revisions.push(store.txn(both(round, i)).await.unwrap().revision);
        }
        let watching: Store = store.clone();
        if from > 0 {
            let mut watch = watching.watch("kill/".to_owned(), from).await.unwrap();
            match watch.next().await.unwrap() {
                Ok(events) => assert_eq!(events[0].revision(), from),
                Err(Error::Compacted { requested, oldest }) => {
                    assert!(requested == from && oldest > from);
                    assert!(oldest <= revisions[0], "what happened since the start is there");
                    let mut again = Watcher::open(&watching, "kill/", oldest).await;
                    assert_eq!(again.next().await[0].revision(), oldest);
                }
                Err(error) => panic!("{error}"),
            }
        }
        from = revisions[45];
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_that_falls_behind_the_history_can_list_again() {
    let directory = tempfile::tempdir().unwrap();
    let options = RaftOptions {
        history_revisions: 50,
        ..RaftOptions::new(directory.path(), "m1")
    };
    let store: Store = RaftStore::open(options).await.unwrap();
    let mut watch = store.watch("kill/".to_owned(), 0).await.unwrap();
    for i in 0..400 {
        store.txn(both(i % 4, i)).await.unwrap();
    }
    let compacted = loop {
        match watch.next().await.expect("a watch ends with an error") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(compacted, Error::Compacted { requested, oldest } if requested < oldest),
        "{compacted}"
    );
    let listing = store.range(Range::prefix("kill/"), Consistency::Linearizable).await.unwrap();
    let mut again = Watcher::open(&store, "kill/", listing.revision + 1).await;
    let next = store.txn(both(0, 0)).await.unwrap().revision;
    assert_eq!(again.next().await[0].revision(), next);
}
