//! The configurations of TLS, each with its cryptography named: nothing here depends on what a process has installed for all.
//!
//! TLS 1.2 and 1.3. No session is ever resumed: a resumed one would be taken without a look at the certificate, which may have
//! expired, or be of an authority that is no longer trusted.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The one protocol that is spoken inside.
const HTTP: &[u8] = b"http/1.1";

/// The cryptography of every connection.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What an HTTP client that speaks plain HTTP has for TLS: it trusts nobody. The HTTP library wants some backend all the same.
///
/// # Panics
/// Never: the options are constants.
#[must_use]
pub fn backend_of_plain_clients() -> ClientConfig {
    client(RootCertStore::empty().into(), None).expect("the provider has the usual versions of TLS")
}

/// Trusts servers of these authorities, by name, and shows a certificate when there is one.
pub(crate) fn client(roots: Arc<RootCertStore>, me: Option<Arc<CertifiedKey>>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match me {
        Some(me) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(me))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![HTTP.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Shows a certificate; with `roots`, lets in only those who show one of these authorities.
pub(crate) fn server(me: Arc<CertifiedKey>, roots: Option<Arc<RootCertStore>>) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match roots {
        Some(roots) => builder.with_client_cert_verifier(client_verifier(roots)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(me)));
    config.alpn_protocols = vec![HTTP.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

pub(crate) fn client_verifier(
    roots: Arc<RootCertStore>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
    verifier.map_err(|error| rustls::Error::General(error.to_string()))
}

pub(crate) fn server_verifier(roots: Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    verifier.map_err(|error| rustls::Error::General(error.to_string()))
}
