//! Who is let in.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use tls::{Acceptor, Clients, Files, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use tls::testing::{DAY, Town, load};

/// A server that answers one byte to everybody it lets in, and its address.
pub(crate) async fn serve(acceptor: Acceptor) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, from) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Some((mut stream, _)) = acceptor.accept(stream, Some(from)).await {
                    stream.write_all(b"y").await.unwrap();
                    stream.shutdown().await.ok();
                }
            });
        }
    });
    address
}

/// Whether a server lets in a client of this configuration.
pub(crate) async fn is_let_in(address: &str, config: Arc<rustls::ClientConfig>) -> bool {
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let Ok(mut stream) = connector.connect(name, stream).await else {
        return false;
    };
    // A server of TLS 1.3 says only now what it thinks of the client.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.is_ok() && answer == b"y"
}

/// A client's configuration that takes anything, even what no node of ours would begin with.
fn client(files: Option<&Files>, trusts: &Town) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusts.own.certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match files {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = vec![CertificateDer::from_pem_file(&files.certificate).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

#[tokio::test]
async fn nodes_of_the_cluster_are_let_in_and_strangers_are_counted_by_reason() {
    let (town, stranger) = (Town::new(), Town::new());
    let registry = telemetry::new_registry();
    let figures = tls::Figures::new(&registry);
    let server = tls::Tls::load(town.write(&Town::node("server")), "node", &figures).unwrap();
    let address = serve(Acceptor::new(server, Clients::Certified)).await;

    let node = load(town.write(&Town::node("node")));
    assert!(is_let_in(&address, Arc::clone(node.identity().client())).await);
    let own_client = town.write(&Request {
        purpose: tls::Purpose::Client,
        hosts: Vec::new(),
        ..Town::node("client")
    });
    assert!(is_let_in(&address, client(Some(&own_client), &town)).await);

    assert!(!is_let_in(&address, client(None, &town)).await, "without a certificate");
    let now = SystemTime::now();
    let expired = town.write(&Request {
        from: now - 2 * DAY,
        until: now - DAY,
        ..Town::node("expired")
    });
    assert!(!is_let_in(&address, client(Some(&expired), &town)).await, "expired");
    let foreign = stranger.write(&Town::node("foreign"));
    assert!(
        !is_let_in(&address, client(Some(&foreign), &town)).await,
        "of another authority"
    );
    // A client that does not know the server's authority goes away by itself.
    assert!(!is_let_in(&address, client(Some(&foreign), &stranger)).await);
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.ok();
    assert!(!answer.contains(&b'y'));

    let text = telemetry::render(&registry);
    for reason in [
        "no_certificate",
        "expired",
        "unknown_authority",
        "refused_by_client",
        "not_tls",
    ] {
        let line = format!("tls_handshakes_refused_total{{reason=\"{reason}\"}} 1");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn open_listener_lets_everybody_in_encrypted() {
    let town = Town::new();
    let server = load(town.write(&Town::node("server")));
    let address = serve(Acceptor::new(server, Clients::Anyone)).await;
    assert!(is_let_in(&address, client(None, &town)).await);
}

#[tokio::test]
async fn server_of_another_name_is_not_believed() {
    let town = Town::new();
    let elsewhere = Request {
        hosts: vec!["elsewhere.example".to_owned()],
        ..Town::node("elsewhere")
    };
    let address = serve(Acceptor::new(load(town.write(&elsewhere)), Clients::Certified)).await;
    let node = load(town.write(&Town::node("node")));
    let stream = TcpStream::connect(&address).await.unwrap();
    let refused = node.identity().connect("127.0.0.1", stream).await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
}
