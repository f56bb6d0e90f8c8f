//! Masters that are asked to stop, and come back: no client notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use system_tests::raw::{answer, connect};
use system_tests::{Api, Sandbox, eventually};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

const CLIENTS: usize = 12;
const PATIENCE: Duration = Duration::from_secs(30);

/// Who keeps a connection cannot tell a request that met its end from one that was executed; 503 says that it was not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_master_says_so_on_the_connections_it_has_before_it_ends_them() {
    let mut stack = Sandbox::raft().masters(3).auxiliaries(0).workers(0).start().await;
    let (api, mut connection) = (stack.masters[0].public(), connect(&stack.masters[0].public_address()).await);
    eventually("it to know the others", PATIENCE, || async {
        let nodes = api.get("/nodes").await.json();
        if nodes["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3) {
            Ok(())
        } else {
            Err(nodes.to_string())
        }
    })
    .await;
    let mut turned_away = false;
    stack.masters[0].process().signal("TERM");
    for turn in 0_u64.. {
        let request = format!("PUT /kv/{turn} HTTP/1.1\r\nHost: master\r\nContent-Length: 1\r\n\r\nv");
        if connection.write_all(request.as_bytes()).await.is_err() {
            break;
        }
        match answer(&mut connection, PATIENCE).await.unwrap() {
            // Another reason is the leader's: it hands over.
            Some(answer) if answer.status == 503 => turned_away |= answer.problem().unwrap().detail.contains("stopping"),
            Some(answer) => assert!(answer.status == 201 && !turned_away, "{} in turn {turn}", answer.status),
            None => break,
        }
    }
    assert!(turned_away, "the connection ended without a word");
    stack.masters[0].stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_on_etcd_are_restarted_and_no_request_fails() {
    restarted(Sandbox::etcd(1).auxiliaries(1).workers(0).start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masters_with_the_built_in_store_are_restarted_and_no_request_fails() {
    restarted(Sandbox::raft().masters(3).nginx().auxiliaries(1).workers(0).start().await).await;
}

async fn restarted(mut stack: Sandbox) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients: JoinSet<u64> = (0..CLIENTS)
        .map(|client| write(stack.api(), client, Arc::clone(&stop)))
        .collect();
    for round in 0..2 {
        for master in &mut stack.masters {
            master.stop(PATIENCE).await;
            master.start();
            master.ready(PATIENCE).await;
            println!("round {round}: {} is back", master.name());
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    while let Some(done) = clients.join_next().await {
        requests += done.unwrap();
    }
    println!("{requests} requests");
    assert!(requests > 1_000, "{requests} requests are no load");
    assert_eq!(stack.panics(), Vec::<String>::new());
}

/// Writes of which none may be sent twice, one after the other, until it is told to stop; gives how many.
async fn write(api: Api, client: usize, stop: Arc<AtomicBool>) -> u64 {
    let (mut turn, large) = (0, vec![b'x'; 1 << 20]);
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{client}-{}", turn % 50);
        let request = match turn % 3 {
            // In several pieces, so that it can be answered before the last of them has been sent.
            _ if turn % 100 == 0 => api.request("PUT", &format!("/cache/large-{client}")).body(large.clone()),
            0 => api.request("PUT", &format!("/kv/{key}")).body(turn.to_string()),
            1 => api.request("POST", &format!("/cache/_incr?key={client}")),
            _ => api
                .request("POST", "/kv/_txn")
                .json(&json!({ "then": [{ "op": "put", "key": key, "value": turn.to_string() }] })),
        };
        let answer = request.send().await;
        assert!(matches!(answer.status, 200 | 201), "turn {turn} of client {client}: {answer}");
        turn += 1;
    }
    turn
}
