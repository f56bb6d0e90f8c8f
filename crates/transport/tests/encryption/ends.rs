//! Connections that end because their peer would not be let in any more, and those that do not.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tls::testing::{DAY, Town, load, write};
use tls::{Figures, Request, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use transport::frames::FrameClient;
use transport::peer::PeerError;

use super::{HELD, LONG, TOKEN, ask, both, call, certify, client, echo, start, start_holding};

/// A connection on which one request after the other is made.
struct Kept(tls::TlsStream<TcpStream>);

impl Kept {
    async fn open(tls: &Tls, address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (stream, _) = tls.connect("127.0.0.1", stream).await.unwrap();
        Self(stream.into())
    }

    async fn ask(&mut self) {
        let request = format!("GET /internal/v1/ok HTTP/1.1\r\nhost: test\r\nx-cluster-token: {TOKEN}\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            assert!(self.0.read_buf(&mut answer).await.unwrap() > 0, "it is closed");
        }
    }

    async fn until_closed(mut self) {
        let mut byte = [0];
        let read = self.0.read(&mut byte);
        let read = tokio::time::timeout(LONG, read).await.expect("the server closes it");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}

/// Waits until calls fail, and says how.
async fn until_refused(frames: &FrameClient, address: &str) -> PeerError {
    let refused = async {
        loop {
            if let Err(refused) = echo(frames, address, Bytes::new()).await {
                return refused;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, refused).await.expect("the connection ends")
}

/// Waits until what was spawned before is under way: it comes first here, and the calls of one connection are read in order.
async fn until_begun(frames: &FrameClient, address: &str) {
    tokio::task::yield_now().await;
    echo(frames, address, Bytes::new()).await.unwrap();
}

fn trust_only(town: &Town, authorities: &Path, tls: &Tls) {
    write(authorities, &town.own.certificate);
    tls.reload();
}

#[tokio::test]
async fn servers_end_connections_of_an_authority_that_they_trust_no_longer() {
    let (old, new, stop) = (Town::new(), Town::new(), CancellationToken::new());
    let registry = telemetry::new_registry();
    let server = Tls::load(old.write(&Town::node("server")), "node", &Figures::new(&registry)).unwrap();
    let held = Arc::new(Semaphore::new(0));
    let address = start_holding(server.clone(), Arc::clone(&held), &stop).await;
    let caller = old.identity("client");
    write(&caller.files().authorities, &both(&old, &new));
    caller.reload();
    let mut kept = Kept::open(&caller, &address).await;
    let frames = FrameClient::new(client(Some(caller.clone())));
    kept.ask().await;
    echo(&frames, &address, Bytes::new()).await.unwrap();

    // Another certificate ends nothing, nor does another authority beside the old one.
    write(&server.files().authorities, &both(&old, &new));
    server.reload();
    certify(&new, server.files());
    server.reload();
    kept.ask().await;
    echo(&frames, &address, Bytes::new()).await.unwrap();
    let ended = || telemetry::render(&registry);
    assert!(!ended().contains("tls_connections_ended_total{"), "{}", ended());

    let under_way = {
        let (frames, address) = (frames.clone(), address.clone());
        tokio::spawn(async move { call(&frames, &address, HELD, Bytes::from_static(b"held")).await })
    };
    until_begun(&frames, &address).await;
    trust_only(&new, &server.files().authorities, &server);
    kept.until_closed().await;
    until_refused(&frames, &address).await;
    held.add_permits(1);
    assert_eq!(under_way.await.unwrap().unwrap(), "held", "what had begun is answered");
    assert!(
        ended().contains("tls_connections_ended_total{reason=\"untrusted\"} 2"),
        "{}",
        ended()
    );
    // Whoever has another certificate comes in.
    certify(&new, caller.files());
    caller.reload();
    echo(&frames, &address, Bytes::new()).await.unwrap();
    stop.cancel();
}

#[tokio::test]
async fn clients_end_connections_to_an_authority_that_they_trust_no_longer() {
    let (old, new, stop) = (Town::new(), Town::new(), CancellationToken::new());
    let (server, caller) = (old.identity("server"), old.identity("client"));
    for tls in [&server, &caller] {
        write(&tls.files().authorities, &both(&old, &new));
        tls.reload();
    }
    let held = Arc::new(Semaphore::new(0));
    let address = start_holding(server, Arc::clone(&held), &stop).await;
    let peers = client(Some(caller.clone()));
    let frames = FrameClient::new(peers.clone());
    ask(&peers, &address).await.unwrap();
    echo(&frames, &address, Bytes::new()).await.unwrap();
    let under_way = {
        let (frames, address) = (frames.clone(), address.clone());
        tokio::spawn(async move { call(&frames, &address, HELD, Bytes::from_static(b"held")).await })
    };
    until_begun(&frames, &address).await;

    certify(&new, caller.files());
    trust_only(&new, &caller.files().authorities, &caller);
    let refused = until_refused(&frames, &address).await;
    assert!(
        matches!(&refused, PeerError::Unreachable { detail, .. } if detail.contains("invalid peer certificate")),
        "{refused:?}"
    );
    assert!(ask(&peers, &address).await.is_err());
    held.add_permits(1);
    assert_eq!(under_way.await.unwrap().unwrap(), "held", "what had begun is answered");
    stop.cancel();
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_of_its_client() {
    let (cluster, stop) = (Town::new(), CancellationToken::new());
    let registry = telemetry::new_registry();
    let server = Tls::load(cluster.write(&Town::node("server")), "node", &Figures::new(&registry)).unwrap();
    let address = start(server, &stop).await;
    let brief = Request {
        until: SystemTime::now() + Duration::from_secs(3),
        ..Town::node("brief")
    };
    let mut kept = Kept::open(&load(cluster.write(&brief)), &address).await;
    kept.ask().await;
    kept.until_closed().await;
    let figures = telemetry::render(&registry);
    assert!(
        figures.contains("tls_connections_ended_total{reason=\"expired\"} 1"),
        "{figures}"
    );
    stop.cancel();
}

/// As one may be left there when an authority was signed anew; handshakes pass it over.
#[tokio::test]
async fn an_old_certificate_beside_a_good_one_ends_no_connection() {
    let (cluster, elsewhere, stop) = (Town::new(), Town::new(), CancellationToken::new());
    let registry = telemetry::new_registry();
    let server = Tls::load(cluster.write(&Town::node("server")), "node", &Figures::new(&registry)).unwrap();
    let address = start(server, &stop).await;
    let old = Request {
        from: SystemTime::now() - 2 * DAY,
        until: SystemTime::now() - DAY,
        ..Town::node("old")
    };
    let files = cluster.write(&Town::node("client"));
    let good = std::fs::read_to_string(&files.certificate).unwrap();
    write(
        &files.certificate,
        &(good + &elsewhere.authority.issue(&old).unwrap().certificate),
    );
    let mut kept = Kept::open(&load(files), &address).await;
    for _ in 0..3 {
        kept.ask().await;
    }
    let figures = telemetry::render(&registry);
    assert!(!figures.contains("tls_connections_ended_total{"), "{figures}");
    stop.cancel();
}
