//! Connections no polite client makes.

use std::time::{Duration, Instant};

use api::ErrorCode;
use futures::future::join_all;
use system_tests::{Api, eventually, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::REQUEST_TIMEOUT;

/// NGINX waits so long for a request's headers (`client_header_timeout`).
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(20);

/// One header byte a second keeps nothing open.
pub(super) async fn slow_headers_are_cut_off(door: &str) {
    let mut stream = raw::connect(door).await;
    let started = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        writer.write_all(b"GET /health HTTP/1.1\r\nX-Slow: ").await.ok();
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = reader.read_to_end(&mut answer) => {}
    }
    let open = started.elapsed();
    assert!(open < HEADER_TIMEOUT + Duration::from_secs(5), "it was open for {open:?}");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// A body that comes a byte at a time is answered at the deadline, and nothing is written.
pub(super) async fn slow_bodies_meet_the_deadline(master: &str) {
    let mut stream = raw::connect(master).await;
    let started = Instant::now();
    stream
        .write_all(b"PUT /cache/dripped HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        .await
        .unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(REQUEST_TIMEOUT + SOON, reader.read_to_end(&mut answer)).await;
    drip.abort();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(closed.is_ok(), "the connection stays open: {answer}");
    assert!(
        answer.starts_with("HTTP/1.1 504") && answer.contains("application/problem+json"),
        "{answer}"
    );
    assert!(started.elapsed() >= REQUEST_TIMEOUT, "answered after {:?}", started.elapsed());
    Api::at(master).get("/cache/dripped").await.problem(404, ErrorCode::NotFound);
}

/// A client that goes away in the middle of a body has written nothing.
pub(super) async fn half_sent_bodies_change_nothing(master: &str) {
    let api = Api::at(master);
    for (i, head) in [
        "PUT /cache/half-N HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this",
        "PUT /kv/half-N HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this",
        "PUT /cache/half-N HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        "PUT /cache/half-N HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "POST /cache/_batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"ops\":[]}",
    ]
    .iter()
    .enumerate()
    {
        let mut stream = raw::connect(master).await;
        stream.write_all(head.replace('N', &i.to_string()).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = raw::answer(&mut stream, SOON).await;
        // Nobody may be left to answer.
        let refused = match &answer {
            Ok(None) => true,
            Ok(Some(answer)) => {
                answer.refusal() == Ok((400, ErrorCode::InvalidArgument)) || (answer.status == 400 && answer.body.is_empty())
            }
            Err(_) => false,
        };
        assert!(refused, "{head}: {answer:?}");
        for kind in ["cache", "kv"] {
            api.get(&format!("/{kind}/half-{i}")).await.problem(404, ErrorCode::NotFound);
        }
    }
}

/// What is no HTTP is refused and cut off; there may be nobody to read a problem.
pub(super) async fn garbage_is_refused(address: &str) {
    let big = format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: x\r\n".repeat(20_000));
    let long = format!("GET /health?{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20));
    let requests: [&[u8]; 14] = [
        b"\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /cache/a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
        b"PUT /cache/k HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PUT /cache/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"PUT /cache/k HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        big.as_bytes(),
        many.as_bytes(),
        long.as_bytes(),
    ];
    for request in requests {
        let shown = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
        let answer = raw::exchange(address, request, SOON).await;
        let refused = match &answer {
            Ok(None) => true,
            Ok(Some(answer)) => matches!(answer.status, 400 | 405 | 413 | 414 | 431 | 501 | 505),
            // Closed while it was still being told.
            Err(reason) => reason.contains("early"),
        };
        assert!(refused, "{shown:?}: {answer:?}");
    }
    Api::at(address).get("/health").await.expect(200);
}

/// HTTP/1.0, chunked bodies, `Expect: 100-continue` and odd but legal forms work.
pub(super) async fn old_and_chunked_requests_are_served(address: &str) {
    let api = Api::at(address);
    let old = raw::exchange(address, b"GET /health HTTP/1.0\r\n\r\n", SOON)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(old.status, 200);
    let chunked = b"PUT /cache/chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4;ext=1\r\nfour\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n";
    let answer = raw::exchange(address, chunked, SOON).await.unwrap().unwrap();
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    assert_eq!(api.get("/cache/chunked").await.expect(200).text(), "four!");

    let mut stream = raw::connect(address).await;
    stream
        .write_all(b"PUT /cache/continued HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    let go_on = raw::answer(&mut stream, SOON).await;
    // An interim answer has no body; what is read as one is the next answer's.
    assert!(
        go_on
            .as_ref()
            .is_ok_and(|answer| answer.as_ref().is_some_and(|answer| answer.status == 100)),
        "{go_on:?}"
    );
    stream.write_all(b"ok").await.unwrap();
    let answer = raw::answer(&mut stream, SOON).await.unwrap().unwrap();
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
}

/// Several requests in one packet get their answers in order.
pub(super) async fn pipelined_requests_are_answered_in_order(address: &str) {
    let mut stream = raw::connect(address).await;
    let mut requests = String::new();
    for i in 0..20 {
        requests.push_str(&format!(
            "PUT /cache/?key=piped&value={i} HTTP/1.1\r\nHost: x\r\nX-Request-Id: piped-{i}\r\nContent-Length: 0\r\n\r\n"
        ));
        requests.push_str(&format!(
            "GET /cache/?key=piped HTTP/1.1\r\nHost: x\r\nX-Request-Id: read-{i}\r\n\r\n"
        ));
    }
    stream.write_all(requests.as_bytes()).await.unwrap();
    for i in 0..20 {
        let written = raw::answer(&mut stream, SOON).await.unwrap().unwrap();
        assert_eq!(
            (written.status, written.header("x-request-id")),
            (200, format!("piped-{i}").as_str())
        );
        let read = raw::answer(&mut stream, SOON).await.unwrap().unwrap();
        assert_eq!(
            (read.status, read.header("x-request-id")),
            (200, format!("read-{i}").as_str())
        );
    }
}

/// Hundreds of connections that say nothing take no place from those that speak.
pub(super) async fn silent_connections_hinder_nobody(address: &str) {
    let silent = join_all((0..500).map(|_| raw::connect(address))).await;
    let api = Api::at(address);
    eventually("an answer beside 500 silent connections", SOON, || async {
        let answer = api.request("GET", "/health").attempt().await?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
    drop(silent);
}
