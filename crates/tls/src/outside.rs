//! Clients that are no nodes: the command line, and whoever else talks to an encrypted port.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use crate::files::{CERTIFICATE, read_certificates};
use crate::{Error, configs};

/// Trusts servers of the authorities in a file, and shows a certificate when there is one (its file, and that of its key).
///
/// # Errors
/// [`Error`] for files that cannot be used.
pub fn client_of(authorities: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, Error> {
    let unfit = |path: &Path, error: &dyn std::fmt::Display| Error::Unfit {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for authority in read_certificates(authorities, "certificate of an authority")? {
        roots.add(authority).map_err(|error| unfit(authorities, &error))?;
    }
    let own = own.map(|(certificate, key)| {
        let chain = read_certificates(certificate, CERTIFICATE)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| Error::NotPem {
            what: "private key",
            path: key.to_owned(),
            detail: error.to_string(),
        })?;
        let pair = CertifiedKey::from_der(chain, private, &configs::provider());
        pair.map(Arc::new).map_err(|_| Error::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
        })
    });
    configs::client(Arc::new(roots), own.transpose()?).map_err(|error| unfit(authorities, &error))
}
