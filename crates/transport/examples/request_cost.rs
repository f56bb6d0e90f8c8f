//! What the server costs per request, besides the work of the handler.
//!
//! `request_cost rounds` drives a router in this process, without sockets, bare and inside its layers, and prints the least
//! time per request of many rounds. `request_cost serve PORT [bare]` listens for a load generator (`wrk -t2 -c64
//! http://127.0.0.1:PORT/item/7`) and prints every few seconds how much CPU a request took, in this process and in the
//! kernel on its behalf. `request_cost calls` makes calls to a peer in this process, over HTTP and in frames, from one
//! caller and from many, and prints what both sides together spend on a call. Figures mean something only in a release
//! build.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::{BootId, Epoch};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::HOST;
use axum::routing::{get, post};
use bytes::Bytes;
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;
use tower::Service;
use transport::ApiError;
use transport::frames::{Call, FrameClient, FrameHandler, FrameMetrics, PATH, frames_route};
use transport::peer::{PeerClient, PeerPolicy};
use transport::server::{HttpMetrics, Layers, bind, serve};

const ROUNDS: usize = 1_000;
const REQUESTS: u32 = 1_000;
/// Ticks of the times in `/proc`, per second; fixed in Linux' interface to programs.
const TICKS: u64 = 100;

#[tokio::main]
async fn main() {
    telemetry::init_logs(LogFormat::Text, "info");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["rounds"] => rounds().await,
        ["calls"] => calls().await,
        ["serve", port] => listen(port.parse().expect("a port"), true).await,
        ["serve", port, "bare"] => listen(port.parse().expect("a port"), false).await,
        _ => println!("usage: request_cost rounds | calls | serve PORT [bare]"),
    }
}

fn router(answered: &Arc<AtomicU64>, layered: bool) -> Router {
    let answered = Arc::clone(answered);
    let item = move |Path(key): Path<String>| async move {
        answered.fetch_add(1, Ordering::Relaxed);
        key
    };
    let router = Router::new()
        .route("/item/{key}", get(item))
        .route("/other", get(|| async {}));
    if layered { layers().around(router) } else { router }
}

fn layers() -> Layers {
    let metrics = HttpMetrics::new(&telemetry::new_registry());
    Layers::new(metrics, Duration::from_secs(30), 1 << 20, 1024)
}

async fn rounds() {
    for (name, layered) in [("bare", false), ("layers", true)] {
        let mut router = router(&Arc::default(), layered);
        let mut least = Duration::MAX;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            for _ in 0..REQUESTS {
                let request = Request::get("/item/7").header(HOST, "127.0.0.1").body(Body::empty());
                black_box(router.call(request.expect("a request")).await.expect("an answer"));
            }
            least = least.min(started.elapsed() / REQUESTS);
        }
        println!("{name}: {least:?} per request");
    }
}

struct Echo;

#[async_trait]
impl FrameHandler for Echo {
    async fn handle(&self, _: Call, body: Bytes) -> Result<Bytes, ApiError> {
        Ok(body)
    }

    fn name(&self, _: u8) -> &'static str {
        "echo"
    }
}

async fn calls() {
    let (token, path, stop) = ("secret", "/internal/v1/echo", CancellationToken::new());
    let router = Router::new()
        .route(path, post(|body: Bytes| async { body }))
        .merge(frames_route(
            PATH,
            Arc::new(Echo),
            FrameMetrics::new(&telemetry::new_registry()),
            1 << 20,
            stop.clone(),
        ));
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let peer = listener.local_addr().expect("bound").to_string();
    tokio::spawn(serve(listener, layers().private(token).around(router), stop));
    let http = PeerClient::new(token, PeerPolicy::default(), &telemetry::new_registry());
    let frames = FrameClient::new(http.clone());
    let call = Call {
        kind: 0,
        epoch: Epoch(1),
        boot_id: BootId::new_random(),
    };
    let body = Bytes::from_static(&[7; 200]);
    for callers in [1, 16, 64] {
        let one = || async {
            let answer = frames.call(&peer, call, body.clone(), Duration::from_secs(5)).await;
            answer.expect("an answer");
        };
        repeat("frames", callers, one).await;
        let one = || async {
            let sending = http.post(&peer, path).body("application/octet-stream", body.clone()).send();
            sending.await.expect("an answer").bytes().await.expect("a body");
        };
        repeat("HTTP", callers, one).await;
    }
}

/// Calls for two seconds, from so many callers at once.
async fn repeat<F: Future<Output = ()>>(name: &str, callers: usize, call: impl Fn() -> F) {
    let (before, started) = (cpu(), Instant::now());
    let calling = (0..callers).map(|_| async {
        let mut count = 0_u64;
        while started.elapsed() < Duration::from_secs(2) {
            call().await;
            count += 1;
        }
        count
    });
    let count: u64 = futures::future::join_all(calling).await.into_iter().sum();
    let (after, seconds) = (cpu(), started.elapsed().as_secs_f64());
    let each = |ticks: u64| ticks as f64 * 1e6 / TICKS as f64 / count as f64;
    let (ours, kernel) = (each(after.0 - before.0), each(after.1 - before.1));
    let rate = count as f64 / seconds;
    println!("{name}, {callers} callers: {rate:.0} calls/s, µs of CPU each: {ours:.2} ours, {kernel:.2} kernel");
}

async fn listen(port: u16, layered: bool) {
    let answered = Arc::default();
    let listener = bind((Ipv4Addr::LOCALHOST, port).into(), "PORT").await.expect("a free port");
    tokio::spawn(serve(listener, router(&answered, layered), CancellationToken::new()));
    let (mut requests, mut user, mut system) = (0, 0, 0);
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (user_now, system_now) = cpu();
        let requests_now = answered.load(Ordering::Relaxed);
        let each = |ticks: u64| ticks as f64 * 1e6 / TICKS as f64 / (requests_now - requests) as f64;
        if requests_now > requests {
            let (ours, kernel) = (each(user_now - user), each(system_now - system));
            println!(
                "{} requests, µs of CPU each: {ours:.2} ours, {kernel:.2} kernel",
                requests_now - requests
            );
        }
        (requests, user, system) = (requests_now, user_now, system_now);
    }
}

/// Ticks of CPU this process has used, its own and the kernel's (proc(5), `/proc/pid/stat`, fields 14 and 15).
fn cpu() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("a name in parentheses");
    let mut fields = after_name
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse().expect("a number"));
    (fields.next().expect("utime"), fields.next().expect("stime"))
}
