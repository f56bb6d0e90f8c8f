//! What goes on with a majority, and what stops without one.

use std::time::{Duration, Instant};

use api::ErrorCode;
use futures::future::join_all;

use crate::support::{Masters, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_master_serves_reads_and_writes() {
    let mut masters = Masters::start(3).await;
    for at in 1..=3 {
        let path = format!("/kv/from-{at}");
        assert_eq!(masters.put(at, &path, "v").await.unwrap().0, 201);
        // Acknowledged by one, seen by all at once.
        for other in 1..=3 {
            assert_eq!(masters.get(other, &path).await.unwrap().0, 200, "from {at} seen by {other}");
        }
    }
    let members = masters.get(2, "/cluster/members").await.unwrap().1;
    let seen = join_all((1..=3).map(|at| masters.get(at, "/cluster/members"))).await;
    for answer in seen {
        let names: Vec<_> = answer.unwrap().1["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["id"].clone())
            .collect();
        let expected: Vec<_> = members["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|member| member["id"].clone())
            .collect();
        assert_eq!(names, expected);
    }
    masters.stop(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_written_and_it_comes_back_by_itself() {
    let mut masters = Masters::start(3).await;
    assert_eq!(masters.put(1, "/kv/before", "v").await.unwrap().0, 201);
    masters.stop(&[2, 3]).await;

    masters.until("master-1 not to be ready", async || !masters.is_ready(1)).await;
    masters
        .until("the reason", async || {
            let (code, detail) = refused(masters.send(masters.peers.get(&masters.public(1), "/ready")).await);
            code == ErrorCode::Unavailable && detail.contains("master-2") && detail.contains("master-3")
        })
        .await;
    let (written, read) = tokio::join!(masters.put(1, "/kv/lost", "v"), masters.get(1, "/kv/before"));
    for outcome in [written, read] {
        let (code, detail) = refused(outcome);
        assert_eq!(code, ErrorCode::Unavailable, "{detail}");
        assert!(detail.contains("master-2") && detail.contains("master-3"), "{detail}");
    }
    // What it knows, it still tells.
    assert_eq!(masters.get(1, "/kv/before?consistency=stale").await.unwrap().0, 200);
    let status = masters.status(1).await.unwrap();
    assert!(
        !status.quorum && status.trouble.is_some() && status.members.len() == 3,
        "{status:?}"
    );

    masters.start_all(&[2]).await;
    masters.until("master-1 to be ready", async || masters.is_ready(1)).await;
    assert_eq!(masters.get(1, "/kv/before").await.unwrap().0, 200);
    assert_eq!(masters.put(1, "/kv/after", "v").await.unwrap().0, 201);
    masters.stop(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_of_all_loses_nothing() {
    let mut masters = Masters::start(3).await;
    for i in 0..20 {
        assert_eq!(masters.put(i % 3 + 1, &format!("/kv/k{i}"), "v").await.unwrap().0, 201);
    }
    masters.stop(&[1, 2, 3]).await;
    masters.start_all(&[3, 1, 2]).await;
    for i in 0..20 {
        assert_eq!(masters.get(i % 3 + 1, &format!("/kv/k{i}")).await.unwrap().0, 200);
    }
    masters.stop(&[1, 2, 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_stops_hands_over_first() {
    let mut masters = Masters::start(3).await;
    let leader = masters.leader(&[1, 2, 3]).await;
    let other = leader % 3 + 1;
    let begun = Instant::now();
    let writing = async {
        let mut slowest = Duration::ZERO;
        for i in 0.. {
            let sent = Instant::now();
            assert!(masters.put(other, &format!("/kv/k{i}"), "v").await.is_ok(), "write {i}");
            slowest = slowest.max(sent.elapsed());
            if begun.elapsed() > Duration::from_secs(4) {
                break;
            }
        }
        slowest
    };
    // Through the API, as a stop does it, since the masters cannot be stopped while they are asked here.
    let handing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        masters
            .post(other, "/cluster/transfer-leader", &serde_json::json!({}))
            .await
            .unwrap()
            .1["leader"]
            .clone()
    };
    let (slowest, next) = tokio::join!(writing, handing);
    assert_ne!(next, format!("master-{leader}"));
    assert!(
        slowest < Duration::from_secs(1),
        "a write took {slowest:?} while the lead was handed over"
    );

    masters.stop(&[leader]).await;
    let stopped = Instant::now();
    assert!(masters.put(other, "/kv/after", "v").await.is_ok());
    assert!(stopped.elapsed() < Duration::from_secs(3), "{:?}", stopped.elapsed());
    let rest: Vec<usize> = (1..=3).filter(|at| *at != leader).collect();
    masters.stop(&rest).await;
}
