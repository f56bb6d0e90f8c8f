//! Connections that end in good order: a node stops, starts again, or says goodbye.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::peer::PeerError;

use crate::support::{ECHO, HELD, LONG, Node, TOKEN, agree, call, client, connected, read_call, write_answer};

#[tokio::test]
async fn a_stopping_node_answers_what_it_has_read_and_then_ends() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    let held = {
        let (client, address) = (client.clone(), node.address.clone());
        tokio::spawn(async move {
            client
                .call(&address, call(HELD), Bytes::from_static(b"under way"), LONG)
                .await
        })
    };
    node.held.recv().await.unwrap();
    node.stop.cancel();
    let refused = loop {
        // Until the goodbye is here, calls may still be answered.
        match client.call(&node.address, call(ECHO), Bytes::new(), LONG).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, PeerError::Unreachable { .. }), "{refused:?}");
    assert!(!held.is_finished());
    node.gate.add_permits(1);
    assert_eq!(held.await.unwrap().unwrap(), "under way");
    let serving = node.serving.take().unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_started_again_is_connected_to_anew() {
    let (mut node, client) = (Node::start().await, client(TOKEN));
    client.call(&node.address, call(ECHO), Bytes::new(), LONG).await.unwrap();
    node.stop.cancel();
    node.serving.take().unwrap().await.unwrap();
    let again = Node::start_at(node.address.parse().unwrap()).await;
    let answer = client
        .call(&node.address, call(ECHO), Bytes::from_static(b"hello"), LONG)
        .await;
    assert_eq!(answer.unwrap(), "hello");
    assert_eq!(again.connections(), 1);
}

#[tokio::test]
async fn calls_after_the_last_that_was_read_are_made_again_on_another_connection() {
    let (caller, listener, mut peer) = connected(client(TOKEN)).await;
    let first = caller.begin(Bytes::from_static(b"first"), LONG);
    let (first_id, _) = read_call(&mut peer).await;
    let second = caller.begin(Bytes::from_static(b"second"), LONG);
    read_call(&mut peer).await;
    write_answer(&mut peer, first_id, 2, b"").await;

    let mut next = agree(&listener).await;
    let (second_id, rest) = read_call(&mut next).await;
    assert!(rest.ends_with(b"second"), "{rest:?}");
    write_answer(&mut next, second_id, 0, b"2").await;
    assert_eq!(second.await.unwrap().unwrap(), "2");

    assert!(!first.is_finished());
    write_answer(&mut peer, first_id, 0, b"1").await;
    assert_eq!(first.await.unwrap().unwrap(), "1");
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0, "the client has no more use for it");
}

#[tokio::test]
async fn only_peers_are_answered_on_the_path_of_frames() {
    let node = Node::start().await;
    for (header, status) in [("x-none: none", "426"), ("connection: upgrade\r\nupgrade: websocket", "426")] {
        let mut stream = TcpStream::connect(&node.address).await.unwrap();
        let request = format!(
            "POST /internal/v1/frames HTTP/1.1\r\nhost: x\r\nx-cluster-token: {TOKEN}\r\n{header}\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    let mut node = Node::start().await;
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let upgrade = "connection: upgrade\r\nupgrade: elasticore-frames/1";
    let request = format!("POST /internal/v1/frames HTTP/1.1\r\nhost: x\r\nx-cluster-token: {TOKEN}\r\n{upgrade}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // A length of 1: shorter than any head.
    stream.write_all(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    node.stop.cancel();
    node.serving.take().unwrap().await.unwrap();
}
