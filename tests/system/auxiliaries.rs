//! Auxiliaries that die and come back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use system_tests::{Api, Sandbox};

/// Removal of an unreachable node: 2 s by design, and a busy machine.
const REMOVED: Duration = Duration::from_secs(5);
const KEYS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_auxiliary_leaves_the_ring_in_seconds_and_returns_to_it() {
    let mut stack = Sandbox::raft().workers(0).start().await;
    let api = stack.api();
    let owners = write_all(&api).await;
    let lost = stack.auxiliaries[1].name().to_owned();
    assert!(
        (KEYS / 6..KEYS / 2).contains(&owners.values().filter(|owner| **owner == lost).count()),
        "{owners:?}"
    );

    stack.auxiliaries[1].kill();
    let killed = Instant::now();
    // Writes to its keys wait for the ring to change, and then go on; none fails.
    let after = write_all(&api).await;
    assert!(
        killed.elapsed() < REMOVED,
        "the last write went on after {:?}",
        killed.elapsed()
    );
    stack.ring_of(&[0, 2], REMOVED.saturating_sub(killed.elapsed())).await;
    read_all(&api).await;
    for (i, owner) in &owners {
        if *owner != lost {
            assert_eq!(after[i], *owner, "only the keys of the lost node move");
        }
    }
    assert!(after.values().all(|owner| *owner != lost));

    stack.auxiliaries[1].start();
    stack.auxiliaries[1].ready(Duration::from_secs(60)).await;
    stack.settled(&[0, 1, 2], 0, Duration::from_secs(15)).await;
    read_all(&api).await;
    assert_eq!(write_all(&api).await, owners, "the ring is what it was");

    // Asked to stop, it leaves by itself, at once.
    stack.auxiliaries[2].process().signal("TERM");
    let status = stack.auxiliaries[2].process().exit(Duration::from_secs(10)).await;
    assert!(status.success(), "{status}");
    stack.ring_of(&[0, 1], REMOVED).await;
    read_all(&api).await;
    write_all(&api).await;
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Writes every key, all at once, and gives their owners.
async fn write_all(api: &Api) -> BTreeMap<usize, String> {
    let writes: FuturesUnordered<_> = (0..KEYS).map(|i| write(api, i)).collect();
    writes.collect().await
}

/// Every key is where its other copy is.
async fn read_all(api: &Api) {
    let reads: FuturesUnordered<_> = (0..KEYS).map(|i| read(api, i)).collect();
    reads.collect::<Vec<_>>().await;
}

async fn read(api: &Api, i: usize) {
    let answer = api.get(&format!("/cache/key-{i}")).await.expect(200);
    assert_eq!(answer.text(), i.to_string(), "key-{i}");
}

async fn write(api: &Api, i: usize) -> (usize, String) {
    let answer = api.put(&format!("/cache/key-{i}"), i.to_string()).await;
    assert!(matches!(answer.status, 200 | 201), "{answer}");
    (i, answer.header("x-cache-node").to_owned())
}
