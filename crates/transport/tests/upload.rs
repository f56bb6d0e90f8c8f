//! Uploads that are refused while they are sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::put;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use transport::peer::{Body as Sent, Method, PeerClient, PeerError, PeerPolicy, Retry};
use transport::server::{HttpMetrics, Layers, bind, serve};
use transport::{ApiError, upload};

async fn full(body: Body) -> Result<(), ApiError> {
    let mut content = Box::pin(upload(body));
    let first = content.next().await.expect("something comes").expect("whole");
    assert!(!first.is_empty());
    Err(ApiError::unavailable("the disk is full"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_is_refused_half_way_reads_why() {
    let registry = telemetry::new_registry();
    let layers = Layers::new(HttpMetrics::new(&registry), Duration::from_secs(30), 1 << 30, 100);
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.expect("a free port");
    let (address, stop) = (listener.local_addr().expect("bound").to_string(), CancellationToken::new());
    tokio::spawn(serve(
        listener,
        layers.around(Router::new().route("/file", put(full))),
        stop.clone(),
    ));
    let policy = PeerPolicy {
        deadline: Duration::from_secs(30),
        ..PeerPolicy::default()
    };
    let peers = PeerClient::new("", policy, &registry);
    for attempt in 0..50 {
        let pieces = stream::iter((0..256).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![7; 64 << 10]))));
        let request = peers
            .request(Method::PUT, &address, "/file")
            .stream(Sent::wrap_stream(pieces));
        let outcome = request.retry(Retry::Never).unguarded().send().await;
        assert!(
            matches!(&outcome, Err(PeerError::Answered { problem, .. }) if problem.detail == "the disk is full"),
            "attempt {attempt}: {outcome:?}"
        );
    }
    stop.cancel();
}
