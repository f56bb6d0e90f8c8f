//! The server's side of a handshake: bounded in time and number, and told of when it fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsError, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::complaints::Complaints;
use crate::{Standing, Tls};

/// Longest handshake.
const DEADLINE: Duration = Duration::from_secs(5);
/// Handshakes at once; more wait, within their deadline.
const AT_ONCE: usize = 1024;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Only those who show a certificate of a trusted authority: nodes of the cluster.
    Certified,
    /// Everybody.
    Anyone,
}

/// Makes connections of a listener encrypted ones; clones share their bounds.
#[derive(Debug, Clone)]
pub struct Acceptor {
    tls: Tls,
    clients: Clients,
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    places: Semaphore,
    complaints: Complaints,
}

impl Acceptor {
    /// For a listener that shows this identity.
    #[must_use]
    pub fn new(tls: Tls, clients: Clients) -> Self {
        let door = Door {
            places: Semaphore::new(AT_ONCE),
            complaints: Complaints::default(),
        };
        Self {
            tls,
            clients,
            door: Arc::new(door),
        }
    }

    /// Shakes hands, and says for how long that is good; nothing when it fails, which is counted and told.
    pub async fn accept(&self, stream: TcpStream, from: Option<SocketAddr>) -> Option<(TlsStream<TcpStream>, Standing)> {
        let trust = self.tls.trust();
        let shaken = timeout(DEADLINE, async {
            let _place = self.door.places.acquire().await;
            TlsAcceptor::from(self.config()).accept(stream).await
        });
        let (reason, detail) = match shaken.await {
            Ok(Ok(stream)) => {
                let standing = Standing::of(&self.tls, stream.get_ref().1.peer_certificates(), None, trust);
                return Some((stream, standing));
            }
            Ok(Err(error)) => (reason(&error), error.to_string()),
            Err(_) => ("too_slow", format!("no handshake within {DEADLINE:?}")),
        };
        self.tls.figures().refused.with_label_values(&[reason]).inc();
        let from = from.map_or_else(|| "somebody".to_owned(), |from| from.to_string());
        debug!(from, reason, detail, "a connection was refused: no handshake");
        self.door.complaints.tell(reason, &from, &detail);
        None
    }

    fn config(&self) -> Arc<ServerConfig> {
        let identity = self.tls.identity();
        Arc::clone(match self.clients {
            Clients::Certified => &identity.mutual,
            Clients::Anyone => &identity.open,
        })
    }
}

/// One of a few words.
fn reason(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return "gone";
    };
    match error {
        TlsError::NoCertificatesPresented => "no_certificate",
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => "expired",
        TlsError::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "not_yet_valid"
        }
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => "unknown_authority",
        TlsError::InvalidCertificate(_) => "bad_certificate",
        TlsError::InvalidMessage(_) => "not_tls",
        TlsError::PeerIncompatible(_) => "too_old",
        // The other side does not take this node's certificate.
        TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            // It knows another authority of the same name.
            | AlertDescription::DecryptError
            | AlertDescription::UnsupportedCertificate,
        ) => "refused_by_client",
        _ => "failed",
    }
}
