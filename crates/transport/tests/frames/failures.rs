//! Peers that are gone, silent or slow: what is known of a call then, and when.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use transport::peer::{BreakerPolicy, PeerError};

use crate::support::{
    ECHO, HELD, LONG, Node, TOKEN, agree, call, client, client_with, connected, puppet, read_call, write_answer,
};

/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(100);
/// More than the buffers of a connection hold.
const MORE_THAN_BUFFERS: usize = 32 << 20;

fn is_unknown<T>(outcome: &Result<T, PeerError>) -> bool {
    matches!(outcome, Err(PeerError::NoAnswer { .. }))
}

fn is_not_executed<T>(outcome: &Result<T, PeerError>) -> bool {
    matches!(outcome, Err(PeerError::Unreachable { .. }))
}

#[tokio::test]
async fn when_the_peer_dies_its_calls_fail_at_once_and_their_outcome_is_unknown() {
    let ((listener, address), client) = (puppet().await, client(TOKEN));
    let calling = tokio::join!(
        client.call(&address, call(ECHO), Bytes::new(), LONG),
        client.call(&address, call(ECHO), Bytes::new(), LONG),
        async {
            let mut peer = agree(&listener).await;
            read_call(&mut peer).await;
            read_call(&mut peer).await;
        }
    );
    assert!(is_unknown(&calling.0), "{calling:?}");
    assert!(is_unknown(&calling.1), "{calling:?}");
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_nobody_beyond_the_deadline() {
    let (caller, _listener, peer) = connected(client(TOKEN)).await;
    let started = Instant::now();
    let begun = caller.begin(Bytes::from(vec![1; MORE_THAN_BUFFERS]), SHORT);
    peer.peek(&mut [0; 1]).await.unwrap();
    let behind = caller.call(b"behind it", SHORT).await;
    assert!(is_not_executed(&behind), "no byte of it left: {behind:?}");
    let begun = begun.await.unwrap();
    assert!(is_unknown(&begun), "a part of it left, the rest may follow: {begun:?}");
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn a_call_of_which_only_a_part_left_before_the_connection_broke_was_not_executed() {
    let (caller, listener, mut peer) = connected(client(TOKEN)).await;
    let calling = caller.begin(Bytes::from(vec![1; MORE_THAN_BUFFERS]), LONG);
    peer.read_exact(&mut [0; 1000]).await.unwrap();
    drop(listener);
    drop(peer);
    let outcome = calling.await.unwrap();
    assert!(is_not_executed(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_call_taken_back_unwritten_never_reaches_the_peer() {
    let (caller, _listener, mut peer) = connected(client(TOKEN)).await;
    let large = caller.begin(Bytes::from(vec![1; MORE_THAN_BUFFERS]), LONG);
    peer.peek(&mut [0; 1]).await.unwrap();
    let back = caller.call(b"taken back", SHORT).await;
    assert!(is_not_executed(&back), "{back:?}");
    let left = caller.begin(Bytes::from_static(b"left"), LONG);
    for expected in [&[1; 4], b"left"] {
        let (id, rest) = read_call(&mut peer).await;
        assert!(rest.ends_with(expected), "{:?}", rest.last_chunk::<10>());
        write_answer(&mut peer, id, 0, expected).await;
    }
    assert_eq!(large.await.unwrap().unwrap(), [1; 4].as_slice());
    assert_eq!(left.await.unwrap().unwrap(), "left");
}

#[tokio::test]
async fn the_connection_to_a_silent_peer_is_dropped_and_made_anew() {
    let ((listener, address), client) = (puppet().await, client(TOKEN));
    let first = tokio::join!(client.call(&address, call(ECHO), Bytes::new(), SHORT), agree(&listener));
    assert!(is_unknown(&first.0));
    let mut silent = first.1;
    for _ in 0..2 {
        assert!(is_unknown(&client.call(&address, call(ECHO), Bytes::new(), SHORT).await));
    }
    assert!(is_closed(&mut silent).await);
    let (answer, ()) = tokio::join!(client.call(&address, call(ECHO), Bytes::new(), LONG), async {
        let mut peer = agree(&listener).await;
        let (id, _) = read_call(&mut peer).await;
        write_answer(&mut peer, id, 0, b"awake").await;
        assert_eq!(id, 1, "ids begin anew on each connection");
    });
    assert_eq!(answer.unwrap(), "awake");
}

/// Reads to the end of what was sent.
async fn is_closed(peer: &mut TcpStream) -> bool {
    peer.read_to_end(&mut Vec::new()).await.is_ok()
}

#[tokio::test]
async fn slow_calls_do_not_cost_the_connection_while_others_are_answered() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    for _ in 0..5 {
        let outcome = client.call(&node.address, call(HELD), Bytes::new(), SHORT).await;
        assert!(is_unknown(&outcome), "{outcome:?}");
        node.held.recv().await.unwrap();
        client.call(&node.address, call(ECHO), Bytes::new(), LONG).await.unwrap();
    }
    assert_eq!(node.connections(), 1);
}

#[tokio::test]
async fn the_breaker_opens_for_a_silent_peer_and_closes_when_it_answers() {
    let breaker = BreakerPolicy {
        failures: 2,
        cooldown: SHORT,
    };
    let ((listener, address), client) = (puppet().await, client_with(TOKEN, breaker));
    let calling = || client.call(&address, call(ECHO), Bytes::new(), SHORT);
    let (first, mut peer) = tokio::join!(calling(), agree(&listener));
    assert!(is_unknown(&first));
    assert!(is_unknown(&calling().await));
    let Err(PeerError::Unreachable { detail, .. }) = calling().await else {
        panic!("the breaker is closed")
    };
    assert!(detail.contains("breaker"), "{detail}");
    let answering = tokio::spawn(async move {
        loop {
            let (id, _) = read_call(&mut peer).await;
            write_answer(&mut peer, id, 0, b"awake").await;
        }
    });
    let answer = loop {
        match calling().await {
            Ok(answer) => break answer,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(answer, "awake");
    answering.abort();
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_executed_and_callers_share_the_attempt() {
    let ((listener, address), client) = (puppet().await, client(TOKEN));
    drop(listener);
    let calls = (0..20).map(|_| client.call(&address, call(ECHO), Bytes::new(), LONG));
    for outcome in futures::future::join_all(calls).await {
        assert!(is_not_executed(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_not_sent() {
    let (node, client) = (Node::start().await, client(TOKEN));
    client.call(&node.address, call(ECHO), Bytes::new(), LONG).await.unwrap();
    let outcome = client.call(&node.address, call(HELD), Bytes::new(), Duration::ZERO).await;
    assert!(is_not_executed(&outcome), "{outcome:?}");
    client.call(&node.address, call(ECHO), Bytes::new(), LONG).await.unwrap();
    assert!(node.held.is_empty(), "it was executed");
}
