//! The layers every node's server has, seen from a client.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::{ErrorCode, Problem};
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use transport::peer::{BreakerPolicy, PeerClient, PeerError, PeerPolicy, Retry};
use transport::server::{Admission, BindError, Escort, Gate, HttpMetrics, Layers, PeerAddress, Routes, bind, serve};
use transport::{ApiError, ApiJson};

const TOKEN: &str = "secret";

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    gate: Arc<Notify>,
    registry: telemetry::Registry,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start() -> Running {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let router = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/panic", get(|| async { panic!("on purpose") as () }))
        .route("/slow", get(std::future::pending::<()>))
        .route("/held", get(move || async move { held.notified().await }))
        .route(
            "/json",
            post(|ApiJson(value): ApiJson<BTreeMap<String, u8>>| async move { axum::Json(value) }),
        )
        .route("/refuse", get(|| async { ApiError::unavailable("busy") }))
        .route("/internal/v1/peer", get(|| async { "peer" }));
    let registry = telemetry::new_registry();
    let layers = Layers::new(HttpMetrics::new(&registry), Duration::from_millis(300), 1024, 2).private(TOKEN);
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    tokio::spawn(serve(listener, layers.around(router), stop.clone()));
    Running {
        address,
        stop,
        gate,
        registry,
    }
}

fn client(token: &str) -> PeerClient {
    let policy = PeerPolicy {
        breaker: BreakerPolicy {
            failures: 2,
            cooldown: Duration::from_millis(200),
        },
        deadline: Duration::from_secs(2),
        ..PeerPolicy::default()
    };
    PeerClient::new(token, policy, &telemetry::new_registry())
}

async fn problem(client: &PeerClient, address: SocketAddr, path: &str) -> Problem {
    match client.get(&address.to_string(), path).retry(Retry::Never).send().await {
        Err(PeerError::Answered { problem, .. }) => *problem,
        other => panic!("{path} gave {other:?}"),
    }
}

#[tokio::test]
async fn refusals_are_problems_with_the_right_status() {
    let node = start().await;
    let client = client(TOKEN);
    for (path, code, status) in [
        ("/nowhere", ErrorCode::NotFound, 404),
        ("/json", ErrorCode::InvalidArgument, 405),
        ("/panic", ErrorCode::Internal, 500),
        ("/slow", ErrorCode::Timeout, 504),
        ("/refuse", ErrorCode::Unavailable, 503),
    ] {
        let problem = problem(&client, node.address, path).await;
        assert_eq!((problem.code, problem.status), (code, status), "{path}");
        assert!(problem.request_id.is_some(), "{path}: {problem:?}");
    }
    let metrics = telemetry::render(&node.registry);
    assert!(
        metrics.contains(r#"http_requests_total{method="GET",route="/panic",status="500"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let node = start().await;
    let (client, peer) = (client(TOKEN), node.address.to_string());
    let send = |content_type, body: &'static [u8]| {
        client
            .post(&peer, "/json")
            .body(content_type, bytes::Bytes::from_static(body))
            .send()
    };
    assert_eq!(
        send("application/json; charset=utf-8", b" {\"a\":1}")
            .await
            .unwrap()
            .json::<BTreeMap<String, u8>>()
            .await
            .unwrap(),
        BTreeMap::from([("a".to_owned(), 1)])
    );
    for (content_type, body, status) in [
        ("text/plain", &b"[1]"[..], 415),
        ("application/jsonp", b"{}", 415),
        ("application/json", b"{\"a\":1", 400),
        ("application/json", b"[1]", 400),
        ("application/json", &[b' '; 2000], 413),
    ] {
        let Err(PeerError::Answered { problem, .. }) = send(content_type, body).await else {
            panic!("{content_type} was taken")
        };
        assert_eq!(problem.status, status, "{problem:?}");
    }
}

#[tokio::test]
async fn more_requests_than_allowed_are_refused_at_once() {
    let node = start().await;
    let (client, peer) = (client(TOKEN), node.address.to_string());
    let held: Vec<_> = (0..2).map(|_| tokio::spawn(client.get(&peer, "/held").send())).collect();
    let refused = loop {
        match client.get(&peer, "/ok").retry(Retry::Never).send().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    node.gate.notify_waiters();
    for request in held {
        request.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn private_routes_want_the_token() {
    let node = start().await;
    assert_eq!(problem(&client("guess"), node.address, "/internal/v1/peer").await.status, 401);
    let answer = client(TOKEN)
        .get(&node.address.to_string(), "/internal/v1/peer")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap(), "peer");
}

#[tokio::test]
async fn request_id_goes_in_and_out_and_a_bad_one_is_replaced() {
    let node = start().await;
    for (sent, kept) in [("my-request-7", true), ("two words", false)] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let request = format!("GET /ok HTTP/1.1\r\nHost: x\r\nX-Request-Id: {sent}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(
            answer.to_ascii_lowercase().contains(&format!("x-request-id: {sent}\r\n")),
            kept,
            "{answer}"
        );
        assert!(answer.to_ascii_lowercase().contains("x-request-id: "), "{answer}");
    }
}

#[tokio::test]
async fn breaker_opens_when_nobody_is_there_and_closes_when_somebody_is() {
    let client = client(TOKEN);
    let free = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let call = || {
        client
            .get(&address.to_string(), "/ok")
            .retry(Retry::Never)
            .deadline(Duration::from_millis(500))
            .send()
    };
    for _ in 0..2 {
        assert!(matches!(call().await, Err(PeerError::Unreachable { .. })));
    }
    let Err(PeerError::Unreachable { detail, .. }) = call().await else {
        panic!("the breaker is closed")
    };
    assert!(detail.contains("breaker"), "{detail}");
    let stop = CancellationToken::new();
    let listener = bind(address, "PORT").await.unwrap();
    tokio::spawn(serve(
        listener,
        Router::new().route("/ok", get(|| async { "ok" })),
        stop.clone(),
    ));
    let answer = client.get(&address.to_string(), "/ok").send().await;
    assert!(answer.is_ok(), "retries outlast the cooldown: {answer:?}");
    stop.cancel();
}

#[tokio::test]
async fn taken_port_is_named_with_the_setting_that_moves_it() {
    let first = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.unwrap();
    let error = bind(first.local_addr().unwrap(), "PORT").await.unwrap_err();
    assert!(
        matches!(error, BindError::Taken { .. }) && error.to_string().contains("PORT"),
        "{error}"
    );
}

#[tokio::test]
async fn routes_change_under_an_open_connection() {
    let route = |answer: &'static str| Router::new().route("/who", get(move || async move { answer }));
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let peer = listener.local_addr().expect("bound").to_string();
    let (routes, stop) = (Routes::new(route("early")), CancellationToken::new());
    tokio::spawn(serve(listener, routes.clone(), stop.clone()));
    let client = PeerClient::new(TOKEN, PeerPolicy::default(), &telemetry::new_registry());
    let ask = async || client.get(&peer, "/who").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&ask().await[..], b"early");
    routes.replace(route("late"));
    assert_eq!(&ask().await[..], b"late");
    stop.cancel();
}

/// Lets in who shows `x-known`, and counts the answers that leave.
#[derive(Debug, Default)]
struct Doorman {
    left: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
}

struct Companion(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Escort for Companion {
    fn leave(&mut self, response: &mut Response) {
        response.headers_mut().insert("x-escorted", HeaderValue::from_static("yes"));
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Gate for Doorman {
    fn admit(&self, request: &mut Request) -> Admission {
        assert!(
            request
                .extensions()
                .get::<PeerAddress>()
                .is_some_and(|peer| peer.0.ip().is_loopback())
        );
        let companion = Companion(Arc::clone(&self.left), Arc::clone(&self.gone));
        let admission = if request.headers().contains_key("x-known") {
            Admission::granted()
        } else {
            Admission::refused(ApiError::new(ErrorCode::Unauthenticated, "who is it?"))
        };
        admission.escorted(Box::new(companion))
    }
}

#[tokio::test]
async fn gates_see_every_request_before_its_handler_and_its_answer_after() {
    let doorman = Doorman::default();
    let (left, gone) = (Arc::clone(&doorman.left), Arc::clone(&doorman.gone));
    let registry = telemetry::new_registry();
    let layers = Layers::new(HttpMetrics::new(&registry), Duration::from_millis(300), 1024, 8).gated(Arc::new(doorman));
    let router = Router::new()
        .route("/ok", get(|| async { "ok" }))
        .route("/slow", get(std::future::pending::<()>));
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let (address, stop) = (listener.local_addr().expect("bound"), CancellationToken::new());
    tokio::spawn(serve(listener, layers.around(router), stop.clone()));
    let _stop = stop.drop_guard();
    for (path, known, status) in [
        ("/ok", true, "200"),
        ("/ok", false, "401"),
        ("/nothing", true, "404"),
        ("/nothing", false, "401"),
        ("/slow", true, "504"),
    ] {
        let header = if known { "X-Known: 1\r\n" } else { "" };
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {known}: {answer}");
        assert!(answer.contains("x-escorted: yes"), "{path} {known}: {answer}");
        assert_eq!(answer.contains("www-authenticate: Bearer"), status == "401", "{answer}");
    }
    // Who goes away before the answer takes the escort along.
    let mut impatient = TcpStream::connect(address).await.expect("it listens");
    impatient
        .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Known: 1\r\n\r\n")
        .await
        .expect("sent");
    let counted = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    drop(impatient);
    for _ in 0..500 {
        if counted(&gone) == 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(counted(&gone) == 6 && counted(&left) >= 5, "{left:?} {gone:?}");
}
