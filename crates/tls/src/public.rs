//! Connections to servers outside of the cluster, by the authorities that the machine trusts.

use rustls::{ClientConfig, RootCertStore};

use crate::configs::provider;

/// Trusts servers as the machine does: its bundle of authorities, or that of `SSL_CERT_FILE`. Without one it trusts nobody.
///
/// # Panics
/// Never: the options are constants.
#[must_use]
pub fn client_of_public_servers() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    // What cannot be read is not trusted, and a connection that wants it says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
