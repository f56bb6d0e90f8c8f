//! How a cluster begins, and what is said until it has.

use std::time::Duration;

use api::ErrorCode;

use crate::support::{Masters, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_master_waits_for_the_others_and_says_so() {
    let mut masters = Masters::of(3);
    let first = tokio::spawn(master::start(masters.settings(1).clone()));
    // Both listeners answer, and neither serves.
    for address in [masters.public(1), masters.private(1)] {
        masters
            .until("the listener", async || {
                masters.send(masters.peers.get(&address, "/health")).await.is_ok()
            })
            .await;
        let mut said = String::new();
        masters
            .until("the reason", async || {
                let (code, detail) = refused(masters.send(masters.peers.get(&address, "/ready")).await);
                said = detail;
                code == ErrorCode::Unavailable && said.contains("master-2 does not answer yet") && said.contains("master-3")
            })
            .await;
    }
    let (code, detail) = refused(masters.put(1, "/kv/k", "v").await);
    assert_eq!(code, ErrorCode::Unavailable, "{detail}");
    assert!(detail.contains("starting"), "{detail}");
    tokio::time::timeout(Duration::from_millis(300), async {
        while !first.is_finished() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect_err("it cannot begin alone");
    masters.start_all(&[2, 3]).await;
    let first = tokio::time::timeout(Duration::from_secs(30), first)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    masters.until("master-1 to be ready", async || first.is_ready()).await;
    assert_eq!(masters.put(1, "/kv/k", "v").await.unwrap().0, 201);
    for at in 1..=3 {
        assert_eq!(masters.get(at, "/kv/k").await.unwrap(), (200, "v".into()), "master-{at}");
    }
    first.stop().await;
    masters.stop(&[2, 3]).await;
}

/// A node that joins takes a refusal for final, and ends; so who asks does not matter yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn master_that_wants_to_know_who_asks_says_first_that_it_is_starting() {
    let mut masters = Masters::of(2);
    masters.change(1, |settings| {
        settings.auth = master::Auth::On;
        settings.elasticore_root_key = settings::Secret::new("a root key that is long enough to be one");
    });
    let first = tokio::spawn(master::start(masters.settings(1).clone()));
    masters
        .until("the listener", async || masters.get(1, "/health").await.is_ok())
        .await;
    for path in ["/cluster/join", "/auth/keys", "/nothing"] {
        let (code, detail) = refused(masters.post(1, path, &serde_json::json!({})).await);
        assert_eq!(code, ErrorCode::Unavailable, "{path}: {detail}");
        assert!(detail.contains("starting"), "{path}: {detail}");
    }
    first.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_that_is_given_up_leaves_the_ports_and_the_directory_free() {
    let mut masters = Masters::of(2);
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_millis(300), master::start(masters.settings(1).clone())).await;
        assert!(waiting.is_err(), "it waits for master-2");
        let ports = [masters.settings(1).port, masters.settings(1).internal_port];
        masters
            .until("the ports to be free", async || {
                ports
                    .iter()
                    .all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
            })
            .await;
    }
    masters.start_all(&[1, 2]).await;
    masters.stop(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn master_whose_directory_was_lost_is_told_what_to_do() {
    let mut masters = Masters::start(3).await;
    assert_eq!(masters.put(1, "/kv/k", "v").await.unwrap().0, 201);
    masters.stop(&[3]).await;
    masters.wipe(3);
    let starting = tokio::time::timeout(Duration::from_secs(30), master::start(masters.settings(3).clone()));
    let error = starting.await.expect("it does not wait").unwrap_err().to_string();
    for said in ["cluster remove master-3", "cluster add"] {
        assert!(error.contains(said), "{error}");
    }
    masters.stop(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_master_needs_no_list() {
    let mut masters = Masters::of(1);
    masters.change(1, |settings| settings.raft_initial_cluster = settings::List::default());
    masters.start_all(&[1]).await;
    assert_eq!(masters.put(1, "/kv/k", "v").await.unwrap().0, 201);
    masters.stop(&[1]).await;
    masters.start_all(&[1]).await;
    assert_eq!(masters.get(1, "/kv/k").await.unwrap().0, 200);
    masters.stop(&[1]).await;
}
