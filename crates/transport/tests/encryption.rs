//! Peers over TLS: requests and frames, strangers, and certificates that change under load.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests themselves do")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use api::{BootId, Epoch};
use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use tempfile::TempDir;
use tls::{Acceptor, Authority, Clients, Figures, Files, Issued, Purpose, Request, Tls};
use tokio_util::sync::CancellationToken;
use transport::ApiError;
use transport::frames::{Call, FrameClient, FrameHandler, FrameMetrics, PATH, frames_route};
use transport::peer::{PeerClient, PeerError, PeerPolicy, Retry};
use transport::server::{HttpMetrics, Layers, Listener, bind, serve};

const TOKEN: &str = "secret";
const LONG: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A cluster's authority.
struct Cluster {
    authority: Authority,
    own: Issued,
    directory: TempDir,
}

impl Cluster {
    fn new() -> Self {
        let now = SystemTime::now();
        let (authority, own) = Authority::create("a test's authority", now - DAY, now + DAY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            authority,
            own,
            directory,
        }
    }

    /// Certificate, key and authority of a node at 127.0.0.1, in files; anew when they are there.
    fn certify(&self, name: &str) -> Files {
        let request = Request {
            name: name.to_owned(),
            hosts: vec!["127.0.0.1".to_owned()],
            purpose: Purpose::Node,
            from: SystemTime::now() - DAY,
            until: SystemTime::now() + DAY,
        };
        let issued = self.authority.issue(&request).unwrap();
        let path = |suffix: &str| self.directory.path().join(format!("{name}.{suffix}"));
        let files = Files {
            certificate: path("pem"),
            key: path("key"),
            authorities: path("ca"),
        };
        std::fs::write(&files.key, &issued.key).unwrap();
        std::fs::write(&files.certificate, &issued.certificate).unwrap();
        std::fs::write(&files.authorities, &self.own.certificate).unwrap();
        files
    }

    fn node(&self, name: &str) -> Tls {
        Tls::load(self.certify(name), "node", &Figures::new(&telemetry::new_registry())).unwrap()
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

/// A node that answers requests and frames, to nodes alone.
async fn start(tls: Tls, stop: &CancellationToken) -> String {
    let registry = telemetry::new_registry();
    let frames = frames_route(PATH, Arc::new(Echo), FrameMetrics::new(&registry), 16 << 20, stop.clone());
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
    let call = Call {
        kind: 1,
        epoch: Epoch::default(),
        boot_id: BootId::nobody(),
    };
    frames.call(address, call, body, LONG).await
}

#[tokio::test]
async fn requests_and_frames_of_any_size_travel_encrypted() {
    let (cluster, stop) = (Cluster::new(), CancellationToken::new());
    let address = start(cluster.node("server"), &stop).await;
    let peers = client(Some(cluster.node("client")));
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
    let (cluster, other, stop) = (Cluster::new(), Cluster::new(), CancellationToken::new());
    let address = start(cluster.node("server"), &stop).await;

    // The server is not believed by a node of another cluster, so that it never hears its token.
    let foreign = client(Some(other.node("foreign")));
    let refused = ask(&foreign, &address).await.unwrap_err();
    assert!(
        matches!(&refused, PeerError::Unreachable { detail, .. } if detail.contains("invalid peer certificate")),
        "{refused:?}"
    );

    // One that believes it is not believed by it.
    let files = other.certify("pretender");
    std::fs::write(
        &files.authorities,
        format!("{}{}", cluster.own.certificate, other.own.certificate),
    )
    .unwrap();
    let pretender = Tls::load(files, "node", &Figures::new(&telemetry::new_registry())).unwrap();
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
    let (old, new, stop) = (Cluster::new(), Cluster::new(), CancellationToken::new());
    let (server, caller) = (old.node("server"), old.node("client"));
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
        old.certify("server");
        server.reload();
        old.certify("client");
        caller.reload();
        until_more().await;
    }
    // Another authority: trusted first, then used, then the old one is trusted no more.
    let both = format!("{}{}", new.own.certificate, old.own.certificate);
    for (name, tls) in [("server", &server), ("client", &caller)] {
        std::fs::write(old.directory.path().join(format!("{name}.ca")), &both).unwrap();
        tls.reload();
        until_more().await;
    }
    for (name, tls) in [("server", &server), ("client", &caller)] {
        let files = new.certify(name);
        std::fs::copy(files.certificate, old.directory.path().join(format!("{name}.pem"))).unwrap();
        std::fs::copy(files.key, old.directory.path().join(format!("{name}.key"))).unwrap();
        tls.reload();
        until_more().await;
    }
    for (name, tls) in [("server", &server), ("client", &caller)] {
        std::fs::write(old.directory.path().join(format!("{name}.ca")), &new.own.certificate).unwrap();
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
