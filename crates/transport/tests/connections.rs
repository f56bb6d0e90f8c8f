//! Connections of clients who want nothing, or want it slowly: real sockets against a listener with small bounds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt, stream};
use telemetry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use transport::server::{ConnectionBounds, HttpMetrics, Layers, bind, serve_within};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
const HEAD: Duration = Duration::from_millis(300);
const STALL: Duration = Duration::from_millis(500);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    gate: Arc<Notify>,
    registry: Registry,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start(max: usize, change: impl FnOnce(ConnectionBounds) -> ConnectionBounds) -> Running {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let endless = || async {
        let piece = || Ok::<_, io::Error>(Bytes::from_static(&[7; 64 << 10]));
        Body::from_stream(stream::iter(std::iter::repeat_with(piece)))
    };
    let silent = || async {
        let first = stream::once(async { Ok::<_, io::Error>(Bytes::from_static(b"event")) });
        Body::from_stream(first.chain(stream::pending()))
    };
    let router = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/held", get(move || async move { held.notified().await }))
        .route("/endless", get(endless))
        .route("/silent", get(silent));
    let registry = telemetry::new_registry();
    let metrics = HttpMetrics::new(&registry);
    let bounds = change(ConnectionBounds::new(max, &metrics));
    let layers = Layers::new(metrics, PATIENCE, 1024, 10_000);
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    tokio::spawn(serve_within(listener, layers.around(router), bounds, stop.clone()));
    Running {
        address,
        stop,
        gate,
        registry,
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it accepts")
    }

    /// Sends a request on a connection, and reads the head of its answer.
    async fn ask(&self, stream: &mut TcpStream, path: &str) -> io::Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The same on a connection that stays open with nothing left to read.
    async fn asked(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        self.ok(&mut stream, path).await;
        stream
    }

    async fn ok(&self, stream: &mut TcpStream, path: &str) {
        let head = within(self.ask(stream, path)).await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        if path == "/ok" {
            within(stream.read_exact(&mut [0; 2])).await.expect("a body");
        }
    }

    fn closed(&self, reason: &str) -> u64 {
        let line = format!("http_connections_closed_total{{reason=\"{reason}\"}} ");
        let text = telemetry::render(&self.registry);
        let found = text.lines().find_map(|found| found.strip_prefix(&line));
        found.map_or(0, |count| count.parse().expect("a number"))
    }
}

async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Waits until the server has closed it.
async fn is_closed(stream: &mut TcpStream) {
    let mut rest = [0; 4096];
    within(async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_places_are_taken_the_one_idle_for_longest_goes() {
    let node = start(3, |bounds| bounds).await;
    let mut first = node.asked("/ok").await;
    let mut rest = Vec::new();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        rest.push(node.asked("/ok").await);
    }
    let _new = node.asked("/ok").await;
    is_closed(&mut first).await;
    assert_eq!(node.closed("no_room"), 1);
    for one in &mut rest {
        node.ok(one, "/ok").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_never_asked_go_before_those_that_did() {
    let node = start(3, |bounds| bounds).await;
    let mut used = [node.asked("/ok").await, node.asked("/ok").await];
    let mut silent = node.connect().await;
    node.asked("/ok").await;
    is_closed(&mut silent).await;
    for one in &mut used {
        node.ok(one, "/ok").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_is_never_closed_to_make_room() {
    let node = start(3, |bounds| bounds).await;
    // One waits for its answer, one reads an answer that is silent and does not end.
    let mut held = node.connect().await;
    held.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut watching = node.asked("/silent").await;
    for _ in 0..20 {
        node.asked("/ok").await;
    }
    let mut all_busy = node.connect().await;
    all_busy.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut last = node.connect().await;
    last.write_all(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), last.read(&mut byte)).await;
    assert!(early.is_err(), "there is no room until somebody has their answer");
    node.gate.notify_waiters();
    within(last.read_exact(&mut byte)).await.expect("now there is");
    let mut rest = [0; 64];
    within(held.read(&mut rest)).await.expect("it was answered");
    assert!(rest.starts_with(b"HTTP/1.1 200"));
    let more = tokio::time::timeout(Duration::from_millis(50), async {
        while matches!(watching.read(&mut rest).await, Ok(1..)) {}
    });
    assert!(more.await.is_err(), "the silent one is still open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_stop_nobody() {
    let node = start(200, |bounds| bounds).await;
    let mut idle = Vec::new();
    let begun = Instant::now();
    for at in 0..2000 {
        match at % 20 {
            0 => drop(node.asked("/ok").await),
            _ => idle.push(node.connect().await),
        }
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let text = telemetry::render(&node.registry);
    let open = text
        .lines()
        .find_map(|line| line.strip_prefix("http_connections "))
        .expect("a gauge");
    assert!(open.parse::<u32>().unwrap() <= 200, "{open}");
    assert!(node.closed("no_room") >= 1500, "{}", node.closed("no_room"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_trickle_end_the_connection_on_old_ones_too() {
    let node = start(10, |bounds| bounds.patience(HEAD, STALL)).await;
    let trickle = async |mut stream: TcpStream| {
        let begun = Instant::now();
        for byte in b"GET /ok HTTP/1.1\r\nHost: x\r\nX-Slow: "
            .iter()
            .chain(std::iter::repeat(&b'a'))
        {
            if stream.write_all(&[*byte]).await.is_err() || begun.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    };
    let silent = async |mut stream: TcpStream| {
        let begun = Instant::now();
        is_closed(&mut stream).await;
        begun.elapsed()
    };
    let (fresh, old) = (node.connect().await, node.asked("/ok").await);
    let nothing = silent(node.connect().await);
    let (fresh, old, nothing) = tokio::join!(trickle(fresh), trickle(old), nothing);
    for took in [fresh, old, nothing] {
        assert!(took >= HEAD - Duration::from_millis(50) && took < PATIENCE, "{took:?}");
    }
    assert_eq!(node.closed("slow_request"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_not_held_to_the_time_of_headers() {
    let node = start(10, |bounds| bounds.patience(HEAD, STALL)).await;
    let mut stream = node.asked("/ok").await;
    // A head in two parts arms a timer, which must not be there any more later.
    for _ in 0..3 {
        tokio::time::sleep(HEAD * 2 / 3).await;
        stream.write_all(b"GET /ok HTTP/1.1\r\n").await.unwrap();
        tokio::time::sleep(HEAD / 3).await;
        stream.write_all(b"Host: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        within(stream.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\nok") {
            rest.push(within(stream.read_u8()).await.expect("the rest"));
        }
    }
    assert_eq!(node.closed("slow_request"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_reads_ends() {
    let node = start(10, |bounds| bounds.patience(HEAD, STALL)).await;
    let _deaf = node.asked("/endless").await;
    within(async {
        while node.closed("slow_reader") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Silence of the server is none of the client.
    let mut watching = node.asked("/silent").await;
    let mut rest = [0; 64];
    let more = tokio::time::timeout(STALL * 2, async {
        while matches!(watching.read(&mut rest).await, Ok(1..)) {}
    });
    assert!(more.await.is_err(), "it is still open");
}
