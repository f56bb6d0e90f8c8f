//! Who a node is, and whom it trusts: read from files, checked, and made into configurations, once and for all.
//!
//! What stays true: an identity that exists was valid when it was read, for both ends of a connection, and under the
//! authorities that came with it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Error, Facts, Files, configs};

/// A certificate with its key, and the authorities that are trusted.
pub struct Identity {
    files: Files,
    facts: Facts,
    authorities: Vec<Facts>,
    /// The certificates of the authorities, in the same order.
    trusted: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    pub(crate) mutual: Arc<ServerConfig>,
    pub(crate) open: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Identity {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// [`Error`], for the first thing that is wrong.
    pub fn load(files: &Files) -> Result<Self, Error> {
        let (chain, key) = (files.read_chain()?, files.read_key()?);
        let path = &files.certificate;
        let facts = Facts::of(&chain[0], path)?;
        let me = CertifiedKey::from_der(chain.clone(), key, &configs::provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Error::Mismatch {
                key: files.key.clone(),
                certificate: path.clone(),
            },
            other => unfit(files, &other),
        })?;
        let now = SystemTime::now();
        if now > facts.not_after {
            let (path, at) = (path.clone(), facts.not_after);
            return Err(Error::Expired { path, at });
        }
        if now < facts.not_before {
            let (path, at) = (path.clone(), facts.not_before);
            return Err(Error::NotYetValid { path, at });
        }
        if facts.names.is_empty() {
            return Err(Error::Nameless { path: path.clone() });
        }
        let (mut roots, mut authorities, mut trusted) = (RootCertStore::empty(), Vec::new(), Vec::new());
        for authority in files.read_authorities()? {
            authorities.push(Facts::of(&authority, &files.authorities)?);
            trusted.push(authority.clone());
            roots.add(authority).map_err(|error| Error::Unfit {
                path: files.authorities.clone(),
                detail: error.to_string(),
            })?;
        }
        let (me, roots) = (Arc::new(me), Arc::new(roots));
        let fails = |error| unfit(files, &error);
        let identity = Self {
            mutual: Arc::new(configs::server(Arc::clone(&me), Some(Arc::clone(&roots))).map_err(fails)?),
            open: Arc::new(configs::server(Arc::clone(&me), None).map_err(fails)?),
            client: Arc::new(configs::client(Arc::clone(&roots), Some(me)).map_err(fails)?),
            files: files.clone(),
            facts,
            authorities,
            trusted,
            roots,
            chain,
        };
        identity.check_purposes()?;
        Ok(identity)
    }

    /// What its certificate says.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the certificates of the authorities say.
    #[must_use]
    pub fn authorities(&self) -> &[Facts] {
        &self.authorities
    }

    /// How peers are called.
    #[must_use]
    pub const fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// Makes sure that others accept it as the server at `host`.
    ///
    /// # Errors
    /// [`Error::OtherName`].
    pub fn check_host(&self, host: &str) -> Result<(), Error> {
        let refused = || Error::OtherName {
            path: self.files.certificate.clone(),
            host: host.to_owned(),
            names: self.facts.names.clone(),
        };
        let name = server_name(host).map_err(|_| refused())?;
        match self.accepted_as(&name) {
            Ok(()) => Ok(()),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Err(refused()),
            Err(other) => Err(unfit(&self.files, &other)),
        }
    }

    /// Begins to speak TLS with the server at `host`, whose certificate must name it.
    ///
    /// # Errors
    /// Of the connection, or what is wrong with the server's certificate.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = server_name(host).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await
    }

    /// Whether a client with this chain would be let in.
    pub(crate) fn trusts_client(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((first, others)) = chain.split_first() else {
            return false;
        };
        let verifier = configs::client_verifier(Arc::clone(&self.roots));
        verifier.is_ok_and(|verifier| verifier.verify_client_cert(first, others, UnixTime::now()).is_ok())
    }

    /// Whether a server with this chain would be believed to have this name.
    pub(crate) fn trusts_server(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        let Some((first, others)) = chain.split_first() else {
            return false;
        };
        let verifier = configs::server_verifier(Arc::clone(&self.roots));
        verifier.is_ok_and(|verifier| verifier.verify_server_cert(first, others, name, &[], UnixTime::now()).is_ok())
    }

    /// Names of the authorities that `next` does not trust any more.
    pub(crate) fn trusted_no_longer(&self, next: &Self) -> Vec<String> {
        let gone = self.authorities.iter().zip(&self.trusted);
        let gone = gone.filter(|(_, certificate)| !next.trusted.contains(certificate));
        gone.map(|(facts, _)| facts.subject.clone()).collect()
    }

    /// Peers take it as a client and as a server, each by the authorities that this node trusts too.
    fn check_purposes(&self) -> Result<(), Error> {
        let fails = |error| unfit(&self.files, &error);
        let verifier = configs::client_verifier(Arc::clone(&self.roots)).map_err(fails)?;
        let client = verifier.verify_client_cert(&self.chain[0], &self.chain[1..], UnixTime::now());
        client.map_err(fails)?;
        // A wildcard is no name of a server; any it stands for will do.
        let name = self.facts.names[0].replacen('*', "any", 1);
        let name = server_name(&name)?;
        self.accepted_as(&name).map_err(fails)
    }

    fn accepted_as(&self, name: &ServerName<'_>) -> Result<(), rustls::Error> {
        let verifier = configs::server_verifier(Arc::clone(&self.roots))?;
        let accepted = verifier.verify_server_cert(&self.chain[0], &self.chain[1..], name, &[], UnixTime::now());
        accepted.map(drop)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// The name that the certificate of a server must have.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| Error::NotAName(host.to_owned()))
}

fn unfit(files: &Files, error: &rustls::Error) -> Error {
    let detail = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!("no authority in {} has signed it", files.authorities.display())
        }
        rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }) => {
            "it must be made for both ends of a connection (extended key usages serverAuth and clientAuth)".to_owned()
        }
        other => other.to_string(),
    };
    Error::Unfit {
        path: files.certificate.clone(),
        detail,
    }
}
