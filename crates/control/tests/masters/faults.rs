//! Masters that die, come back, are added and restored, over real sockets.

use std::time::Duration;

use control::raft::{InitialMember, MemberRole, RaftOptions, RestoreRequest, inspect, restore};
use control::{Consistency, ControlStore as _, Error, Range};
use futures::StreamExt as _;
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, Master, listen, options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_within_three_seconds_of_a_dead_leader() {
    let mut cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    cluster.store(follower).put("a", "1".into(), None).await.unwrap();
    let leader = cluster.leader().await;
    cluster.kill(leader).await;
    let begun = Instant::now();
    while cluster.store(follower).put("b", "2".into(), None).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    cluster.restart(leader).await;
    let back = cluster.store(leader);
    assert!(back.get("b", Consistency::Linearizable).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_it_refuses_and_comes_back_by_itself() {
    let mut cluster = Cluster::start(3).await;
    cluster.store(0).put("a", "1".into(), None).await.unwrap();
    cluster.kill(1).await;
    cluster.kill(2).await;
    let left = cluster.store(0);
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        match left.put("b", "2".into(), None).await {
            Err(Error::Unavailable(text)) if text.contains("no majority: master-2, master-3 do not answer") => break,
            Err(Error::Unavailable(_) | Error::Timeout(_)) => assert!(Instant::now() < give_up),
            other => panic!("{other:?}"),
        }
    }
    assert!(left.get("a", Consistency::Stale).await.unwrap().is_some());
    cluster.restart(1).await;
    cluster.leader().await;
    assert!(left.get("a", Consistency::Linearizable).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_reads_and_status_say_who_is_silent_on_every_master() {
    let mut cluster = Cluster::start(5).await;
    cluster.store(0).put("a", "1".into(), None).await.unwrap();
    let leader = cluster.leader().await;
    let dead: Vec<_> = (0..5).filter(|number| *number != leader).skip(1).collect();
    for number in &dead {
        cluster.kill(*number).await;
    }
    let names: Vec<_> = dead.iter().map(|number| format!("master-{}", number + 1)).collect();
    let reason = format!("no majority: {} do not answer", names.join(", "));
    for number in (0..5).filter(|number| !dead.contains(number)) {
        let store = cluster.store(number);
        let give_up = Instant::now() + Duration::from_secs(20);
        loop {
            let (begun, read) = (Instant::now(), store.get("a", Consistency::Linearizable).await);
            assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
            let error = read.expect_err("there is no majority");
            assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
            let status = store.status().await;
            let trouble = status.trouble.clone().unwrap_or_default();
            if error.to_string().contains(&reason) && trouble.contains(&reason) {
                assert!(!status.quorum);
                // Also the other one who is left says how far all are.
                let silent = status.members.iter().filter(|member| member.silent_ms > Some(1_000));
                assert_eq!(silent.count(), 3, "{status:?}");
                break;
            }
            assert!(Instant::now() < give_up, "{error}; {trouble}; {reason}");
        }
        assert!(store.get("a", Consistency::Stale).await.unwrap().is_some());
    }
    cluster.restart(dead[0]).await;
    cluster.leader().await;
    assert!(
        cluster
            .store(leader)
            .get("a", Consistency::Linearizable)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_masters_stop_and_start_again_with_everything() {
    let mut cluster = Cluster::start(5).await;
    for write in 0..50 {
        cluster
            .store(write % 5)
            .put(&format!("k/{write}"), "v".into(), None)
            .await
            .unwrap();
    }
    let before = cluster
        .store(0)
        .range(Range::prefix("k/"), Consistency::Linearizable)
        .await
        .unwrap();
    for number in 0..5 {
        cluster.stop(number).await;
    }
    let starting = (0..5).map(|number| {
        let (options, address) = (
            options(&cluster.directories[number], &cluster.initial, number),
            cluster.initial[number].address.parse().unwrap(),
        );
        async move { Master::start(listen(address).await, options).await }
    });
    let masters = futures::future::join_all(starting).await;
    for master in &masters {
        let after = master
            .store
            .range(Range::prefix("k/"), Consistency::Linearizable)
            .await
            .unwrap();
        assert_eq!(after.items, before.items);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_store_is_streamed_to_a_new_master() {
    let cluster = Cluster::start(1).await;
    let store = cluster.store(0);
    for write in 0..40 {
        store
            .put(&format!("k/{write}"), vec![b'v'; 500_000].into(), None)
            .await
            .unwrap();
    }
    // So that the log does not hold what is at the begin.
    let small = (0..1_600).map(|write| {
        let store = &store;
        async move { store.put(&format!("s/{}", write % 10), "v".into(), None).await }
    });
    futures::stream::iter(small)
        .buffer_unordered(64)
        .for_each(|put| async move { assert!(put.is_ok()) })
        .await;

    let listener = listen(([127, 0, 0, 1], 0).into()).await;
    let address = listener.local_addr().unwrap().to_string();
    store.add_member("late", &address).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let options = RaftOptions {
        address,
        join: vec![cluster.initial[0].address.clone()],
        ..RaftOptions::new(directory.path(), "late")
    };
    let late = Master::start(listener, options).await;
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        let members = store.members().await.unwrap();
        if members.iter().all(|member| member.role != MemberRole::Learner) {
            break;
        }
        assert!(Instant::now() < give_up, "{members:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let there = late
        .store
        .range(Range::prefix("k/"), Consistency::Linearizable)
        .await
        .unwrap();
    assert_eq!(there.items.len(), 40);
    assert!(late.store.status().await.snapshot > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_saved_and_restored_as_another_cluster() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    let old = cluster.store(follower);
    old.put("meta/cluster", "the old one".into(), None).await.unwrap();
    for write in 0..30 {
        old.put(&format!("k/{write}"), vec![b'v'; 50_000].into(), None).await.unwrap();
    }
    let kept = old.range(Range::prefix("k/"), Consistency::Linearizable).await.unwrap();
    let export = old.snapshot().await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("saved.snapshot");
    let mut bytes = Vec::new();
    let mut body = export.body;
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(inspect(&file).unwrap().revision, export.revision);

    // Any flipped bit is noticed before anything is written.
    let damaged = scratch.path().join("damaged.snapshot");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    bytes.truncate(middle);
    let cut = scratch.path().join("cut.snapshot");
    std::fs::write(&cut, &bytes).unwrap();

    let listeners = futures::future::join_all((0..2).map(|_| listen(([127, 0, 0, 1], 0).into()))).await;
    let initial: Vec<InitialMember> = ["new-1", "new-2"]
        .iter()
        .zip(&listeners)
        .map(|(name, listener)| InitialMember {
            name: (*name).to_owned(),
            address: listener.local_addr().unwrap().to_string(),
        })
        .collect();
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let request = |file: &std::path::Path| RestoreRequest {
        file: file.to_owned(),
        dir: directories[0].path().to_owned(),
        name: "new-1".to_owned(),
        address: initial[0].address.clone(),
        initial_cluster: initial.clone(),
    };
    for wrong in [&damaged, &cut] {
        assert!(matches!(restore(&request(wrong)).await, Err(Error::Damaged(_))));
        assert_eq!(std::fs::read_dir(directories[0].path()).unwrap().count(), 0);
    }
    let restored = restore(&request(&file)).await.unwrap();
    assert_eq!(restored.members, ["new-1", "new-2"]);
    assert!(
        matches!(restore(&request(&file)).await, Err(Error::Conflict(_))),
        "only into an empty directory"
    );

    let starting = listeners
        .into_iter()
        .enumerate()
        .map(|(number, listener)| Master::start(listener, options(&directories[number], &initial, number)));
    let masters = futures::future::join_all(starting).await;
    for master in &masters {
        let there = master
            .store
            .range(Range::prefix("k/"), Consistency::Linearizable)
            .await
            .unwrap();
        assert_eq!(there.items, kept.items);
        assert!(there.revision > kept.revision);
        let identity = master.store.get("meta/cluster", Consistency::Linearizable).await.unwrap();
        assert_eq!(identity, None, "nobody takes it for the old cluster");
        let status = master.store.status().await;
        assert_eq!(status.cluster_id, restored.cluster_id);
    }
}
