//! Calls that are answered.

use std::time::Duration;

use api::ErrorCode;
use bytes::Bytes;
use transport::frames::MAX_CALLS;
use transport::peer::PeerError;

use crate::support::{ECHO, HEAD, HELD, LONG, MAX_BODY, Node, PANIC, REFUSED, TOKEN, call, client};

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    let slow = {
        let (client, address) = (client.clone(), node.address.clone());
        tokio::spawn(async move { client.call(&address, call(HELD), body("slow"), LONG).await })
    };
    node.held.recv().await.unwrap();
    assert_eq!(
        client.call(&node.address, call(ECHO), body("fast"), LONG).await.unwrap(),
        "fast"
    );
    assert!(!slow.is_finished());
    node.gate.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap(), "slow");
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn calls_are_counted_by_kind_and_by_how_they_ended() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    let large = Bytes::from(vec![0; MAX_BODY + 1024]);
    for (kind, body) in [
        (ECHO, body("a")),
        (ECHO, body("b")),
        (REFUSED, body("")),
        (PANIC, body("")),
        (ECHO, large),
    ] {
        drop(client.call(&node.address, call(kind), body, LONG).await);
    }
    // Not answered on the spot.
    let held = client.call(&node.address, call(HELD), body("slow"), LONG);
    let (held, ()) = tokio::join!(held, async {
        node.held.recv().await.unwrap();
        node.gate.add_permits(1);
    });
    held.unwrap();
    let metrics = telemetry::render(&node.registry);
    for line in [
        r#"frame_calls_total{kind="echo",status="200"} 2"#,
        r#"frame_calls_total{kind="echo",status="413"} 1"#,
        r#"frame_calls_total{kind="held",status="200"} 1"#,
        r#"frame_calls_total{kind="refused",status="409"} 1"#,
        r#"frame_calls_total{kind="other",status="500"} 1"#,
        r#"frame_call_duration_seconds_count{kind="echo"} 3"#,
        "frame_connections 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_one_connection_and_each_gets_its_own_answer() {
    let (node, client) = (Node::start().await, client(TOKEN));
    let callers: Vec<_> = (0..64_u32)
        .map(|caller| {
            let (client, address) = (client.clone(), node.address.clone());
            tokio::spawn(async move {
                for turn in 0..50 {
                    let sent = format!("{caller} {turn}").repeat(1 + (caller as usize * 37) % 300);
                    let answer = client.call(&address, call(ECHO), sent.clone().into(), LONG).await;
                    assert_eq!(answer.unwrap(), sent);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn head_and_request_id_reach_the_handler() {
    let (node, client) = (Node::start().await, client(TOKEN));
    let asking = || client.call(&node.address, call(HEAD), Bytes::new(), LONG);
    let boot = call(HEAD).boot_id;
    assert_eq!(asking().await.unwrap(), format!("7 {boot} none"));
    let id = transport::RequestId::generate();
    assert_eq!(id.clone().scope(asking()).await.unwrap(), format!("7 {boot} {id}"));
}

#[tokio::test]
async fn refusals_and_panics_come_back_as_problems() {
    let (node, client) = (Node::start().await, client(TOKEN));
    for (kind, code) in [(REFUSED, ErrorCode::Conflict), (PANIC, ErrorCode::Internal)] {
        match client.call(&node.address, call(kind), Bytes::new(), LONG).await {
            Err(PeerError::Answered { problem, .. }) => assert_eq!(problem.code, code),
            other => panic!("{kind} gave {other:?}"),
        }
    }
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn the_largest_frame_passes_and_a_larger_one_is_refused_without_harm() {
    let (node, client) = (Node::start().await, client(TOKEN));
    let mut large = vec![0; MAX_BODY];
    large.iter_mut().enumerate().for_each(|(place, byte)| *byte = place as u8);
    let large = Bytes::from(large);
    let answer = client.call(&node.address, call(ECHO), large.clone(), LONG).await.unwrap();
    assert!(answer == large, "{} bytes came back, and not the same", answer.len());

    let too_large = Bytes::from(vec![1; MAX_BODY + 1024]);
    match client.call(&node.address, call(ECHO), too_large, LONG).await {
        Err(PeerError::Answered { problem, .. }) => assert_eq!(problem.code, ErrorCode::TooLarge),
        other => panic!("it was taken: {:?}", other.map(|answer| answer.len())),
    }
    assert_eq!(
        client.call(&node.address, call(ECHO), body("next"), LONG).await.unwrap(),
        "next"
    );
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn more_calls_than_a_connection_may_have_are_refused_and_not_executed() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    let held: Vec<_> = (0..MAX_CALLS)
        .map(|_| {
            let (client, address) = (client.clone(), node.address.clone());
            tokio::spawn(async move { client.call(&address, call(HELD), body("held"), LONG).await })
        })
        .collect();
    for _ in 0..MAX_CALLS {
        node.held.recv().await.unwrap();
    }
    let refused = client.call(&node.address, call(ECHO), body("one more"), LONG).await;
    assert!(matches!(refused, Err(PeerError::Unreachable { .. })), "{refused:?}");
    node.gate.add_permits(MAX_CALLS);
    for call in held {
        assert_eq!(call.await.unwrap().unwrap(), "held");
    }
    assert_eq!(
        client.call(&node.address, call(ECHO), body("again"), LONG).await.unwrap(),
        "again"
    );
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let node = Node::start().await;
    match client("guess").call(&node.address, call(ECHO), Bytes::new(), LONG).await {
        Err(PeerError::Answered { problem, .. }) => assert_eq!(problem.code, ErrorCode::Unauthenticated),
        other => panic!("it was let in: {other:?}"),
    }
    assert_eq!(node.connections(), 0);
}

#[tokio::test]
async fn a_call_whose_caller_went_away_makes_room_for_another() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    for _ in 0..MAX_CALLS / 16 {
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let (client, address) = (client.clone(), node.address.clone());
                tokio::spawn(async move { client.call(&address, call(HELD), body("left"), LONG).await })
            })
            .collect();
        for call in calls {
            node.held.recv().await.unwrap();
            call.abort();
        }
        node.gate.add_permits(16);
    }
    let answer = client
        .call(&node.address, call(ECHO), body("room"), Duration::from_secs(5))
        .await;
    assert_eq!(answer.unwrap(), "room");
}
