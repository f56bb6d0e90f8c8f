//! The configurations of TLS, each with its cryptography named: nothing here depends on what a process has installed for all.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};

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
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions of TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}
