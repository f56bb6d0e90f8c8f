//! The place in a trace travels with calls, between those who know it.

use api::headers::CLUSTER_TOKEN;
use bytes::Bytes;
use telemetry::traces::TraceContext;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::Traced;
use transport::frames::PATH;

use crate::support::{ECHO, LONG, Node, TOKEN, TRACE, agree, call, client, puppet, read_call, write_answer};

#[tokio::test]
async fn place_in_a_trace_reaches_the_handler() {
    let (node, client) = (Node::start().await, client(TOKEN));
    let asking = || client.call(&node.address, call(TRACE), Bytes::new(), LONG);
    assert_eq!(asking().await.unwrap(), "none");
    let place = TraceContext::begin([7; 16], true);
    assert_eq!(Traced::of(place).scope(asking()).await.unwrap(), place.to_string());
    assert_eq!(asking().await.unwrap(), "none");
}

#[tokio::test]
async fn a_node_of_before_is_called_as_before() {
    let (listener, address) = puppet().await;
    let (traced, client) = (Traced::of(TraceContext::begin([7; 16], true)), client(TOKEN));
    let calling = traced.scope(client.call(&address, call(ECHO), Bytes::from_static(b"body"), LONG));
    let (answer, rest) = tokio::join!(calling, async {
        // It agrees without a word about fields.
        let mut peer = agree(&listener).await;
        let (id, rest) = read_call(&mut peer).await;
        write_answer(&mut peer, id, 0, b"").await;
        rest
    });
    answer.unwrap();
    // Kind, epoch, boot id, request id with its length, body.
    let request_id = "07".repeat(16);
    assert_eq!(rest.len(), 1 + 8 + 16 + 1 + request_id.len() + 4);
    assert!(rest.ends_with(format!(" {request_id}body").as_bytes()), "{rest:?}");
}

#[tokio::test]
async fn a_node_of_before_is_answered_as_before() {
    let node = Node::start().await;
    let mut stream = TcpStream::connect(&node.address).await.unwrap();
    let upgrade = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: elasticore-frames/1\r\n{CLUSTER_TOKEN}: {TOKEN}\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && !head.contains("x-frame-fields"), "{head}");
    // A call without the place in a trace: id 1, epoch, boot id, no request id.
    let mut frame = 34_u32.to_le_bytes().to_vec();
    frame.extend(1_u32.to_le_bytes());
    frame.push(ECHO);
    frame.extend([0; 8 + 16 + 1]);
    frame.extend(b"body");
    stream.write_all(&frame).await.unwrap();
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..9], [9, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(&answer[9..], b"body");
}
