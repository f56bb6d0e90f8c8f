//! Peers over TLS: requests and frames, strangers, and certificates that change under load.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

mod ends;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::{BootId, Epoch};
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use tls::testing::{Town, load, write};
use tls::{Acceptor, Clients, Files, Tls};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use transport::ApiError;
use transport::frames::{Call, FrameClient, FrameHandler, FrameMetrics, PATH, frames_route};
use transport::peer::{PeerClient, PeerError, PeerPolicy, Retry};
use transport::server::{HttpMetrics, Layers, Listener, bind, serve};

const TOKEN: &str = "secret";
const LONG: Duration = Duration::from_secs(20);
/// A call that is answered when it is let.
const HELD: u8 = 2;

/// Gives back what it gets, calls of the kind [`HELD`] when there is a permit for each.
struct Echo(Arc<Semaphore>);

#[async_trait]
impl FrameHandler for Echo {
    async fn handle(&self, call: Call, body: Bytes) -> Result<Bytes, ApiError> {
        if call.kind == HELD {
            self.0.acquire().await.unwrap().forget();
        }
        Ok(body)
    }

    fn name(&self, _: u8) -> &'static str {
        "echo"
    }
}

/// A node that answers requests and frames, to nodes alone.
async fn start(tls: Tls, stop: &CancellationToken) -> String {
    start_holding(tls, Arc::new(Semaphore::new(0)), stop).await
}

async fn start_holding(tls: Tls, held: Arc<Semaphore>, stop: &CancellationToken) -> String {
    let registry = telemetry::new_registry();
    let frames = frames_route(
        PATH,
        Arc::new(Echo(held)),
        FrameMetrics::new(&registry),
        16 << 20,
        stop.clone(),
    );
    let router = Router::new().route("/internal/v1/ok", get(|| async { "ok" })).merge(frames);
    let layers = Layers::new(HttpMetrics::new(&registry), LONG, 16 << 20, 1000).private(TOKEN);
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "PORT").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let listener = Listener::new(listener, Some(Acceptor::new(tls, Clients::Certified)));
    tokio::spawn(serve(listener, layers.around(router), stop.clone()));
    address
}

fn client(tls: Option<Tls>) -> PeerClient {
    let policy = PeerPolicy {
        connect_timeout: Duration::from_secs(5),
        deadline: LONG,
        ..PeerPolicy::default()
    };
    PeerClient::encrypted(TOKEN, policy, tls, &telemetry::new_registry())
}

/// Trusts both.
fn both(one: &Town, other: &Town) -> String {
    format!("{}{}", one.own.certificate, other.own.certificate)
}

/// Another certificate for a node, signed by this authority, whoever is trusted.
fn certify(town: &Town, files: &Files) {
    let issued = town.authority.issue(&Town::node("again")).unwrap();
    write(&files.certificate, &issued.certificate);
    write(&files.key, &issued.key);
}

async fn ask(client: &PeerClient, address: &str) -> Result<Bytes, PeerError> {
    client
        .get(address, "/internal/v1/ok")
        .retry(Retry::Never)
        .unguarded()
        .send()
        .await?
        .bytes()
        .await
}

async fn echo(frames: &FrameClient, address: &str, body: Bytes) -> Result<Bytes, PeerError> {
    call(frames, address, 1, body).await
}

async fn call(frames: &FrameClient, address: &str, kind: u8, body: Bytes) -> Result<Bytes, PeerError> {
    let call = Call {
        kind,
        epoch: Epoch::default(),
        boot_id: BootId::nobody(),
    };
    frames.call(address, call, body, LONG).await
}

#[tokio::test]
async fn requests_and_frames_of_any_size_travel_encrypted() {
    let (cluster, stop) = (Town::new(), CancellationToken::new());
    let address = start(cluster.identity("server"), &stop).await;
    let peers = client(Some(cluster.identity("client")));
    assert_eq!(ask(&peers, &address).await.unwrap(), "ok");

    let frames = FrameClient::new(peers);
    let sizes = [0, 1, 1 << 10, 20_000, 1 << 20, 8 << 20];
    let calls = sizes.iter().flat_map(|size| [*size; 8]).enumerate().map(|(number, size)| {
        let (frames, address) = (frames.clone(), address.clone());
        let body = Bytes::from(vec![number as u8; size]);
        tokio::spawn(async move { (echo(&frames, &address, body.clone()).await.unwrap() == body, size) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (same, size) = call.await.unwrap();
        assert!(same, "an answer of {size} bytes was another one");
    }

    // Calls that were read are answered, and the connection ends in order.
    stop.cancel();
}

#[tokio::test]
async fn strangers_are_refused_before_anything_is_executed() {
    let (cluster, other, stop) = (Town::new(), Town::new(), CancellationToken::new());
    let address = start(cluster.identity("server"), &stop).await;

    // The server is not believed by a node of another cluster, so that it never hears its token.
    let foreign = client(Some(other.identity("foreign")));
    let refused = ask(&foreign, &address).await.unwrap_err();
    assert!(
        matches!(&refused, PeerError::Unreachable { detail, .. } if detail.contains("invalid peer certificate")),
        "{refused:?}"
    );

    // One that believes it is not believed by it.
    let files = other.write(&Town::node("pretender"));
    write(&files.authorities, &both(&cluster, &other));
    let pretender = load(files);
    let refused = ask(&client(Some(pretender.clone())), &address).await.unwrap_err();
    assert!(
        matches!(refused, PeerError::Unreachable { .. }),
        "certainly not executed: {refused:?}"
    );
    let refused = echo(&FrameClient::new(client(Some(pretender))), &address, Bytes::new())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PeerError::Unreachable { .. }),
        "certainly not executed: {refused:?}"
    );

    // Nor is one that speaks no TLS, whatever token it has.
    assert!(ask(&client(None), &address).await.is_err());
    assert!(echo(&FrameClient::new(client(None)), &address, Bytes::new()).await.is_err());
    stop.cancel();
}

#[tokio::test]
async fn certificates_and_authorities_change_under_load_without_a_failed_call() {
    let (old, new, stop) = (Town::new(), Town::new(), CancellationToken::new());
    let (server, caller) = (old.identity("server"), old.identity("client"));
    let address = start(server.clone(), &stop).await;
    let peers = client(Some(caller.clone()));
    let frames = FrameClient::new(peers.clone());
    let (done, answered) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..4)
        .map(|number| {
            let (peers, frames, address) = (peers.clone(), frames.clone(), address.clone());
            let (done, answered) = (done.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                while !done.is_cancelled() {
                    if number % 2 == 0 {
                        ask(&peers, &address).await.unwrap();
                    } else {
                        echo(&frames, &address, Bytes::from_static(b"x")).await.unwrap();
                        // A connection of frames lasts: another one is made, as after a restart of the peer.
                        frames.retain(|_| false);
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let until_more = async || {
        let enough = answered.load(Ordering::Relaxed) + 50;
        let more = async {
            while answered.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, more).await.expect("calls are answered");
    };
    until_more().await;
    for _ in 0..3 {
        for (name, tls) in [("server", &server), ("client", &caller)] {
            assert_eq!(&old.write(&Town::node(name)), tls.files());
            tls.reload();
        }
        until_more().await;
    }
    // Another authority: trusted first, then used, then the old one is trusted no more.
    for tls in [&server, &caller] {
        write(&tls.files().authorities, &both(&old, &new));
        tls.reload();
        until_more().await;
    }
    for tls in [&server, &caller] {
        certify(&new, tls.files());
        tls.reload();
        until_more().await;
    }
    for tls in [&server, &caller] {
        write(&tls.files().authorities, &new.own.certificate);
        tls.reload();
        until_more().await;
    }
    done.cancel();
    for task in load {
        task.await.expect("no call failed");
    }
    assert_eq!(server.identity().authorities().len(), 1);
    stop.cancel();
}
