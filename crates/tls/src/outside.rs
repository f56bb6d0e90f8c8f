//! Clients that are no nodes: the command line, and whoever else talks to an encrypted port.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use crate::files::{AUTHORITIES, CERTIFICATE, read_certificates, read_key};
use crate::{Error, Facts, configs};

/// Trusts servers of the authorities in a file, and shows a certificate when there is one (its file, and that of its key).
///
/// # Errors
/// [`Error`] for files that cannot be used.
pub fn client_of(authorities: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, Error> {
    if let Some((certificate, _)) = own {
        let facts = Facts::of(&read_certificates(certificate, CERTIFICATE)?[0], certificate)?;
        if facts.left(SystemTime::now()).is_none() {
            let (path, at) = (certificate.to_owned(), facts.not_after);
            return Err(Error::Expired { path, at });
        }
    }
    showing(authorities, own)
}

/// The same, also with a certificate that nobody takes any more.
pub(crate) fn showing(authorities: &Path, own: Option<(&Path, &Path)>) -> Result<ClientConfig, Error> {
    let unfit = |path: &Path, error: &dyn std::fmt::Display| Error::Unfit {
        path: path.to_owned(),
        detail: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for authority in read_certificates(authorities, AUTHORITIES)? {
        roots.add(authority).map_err(|error| unfit(authorities, &error))?;
    }
    let own = own.map(|(certificate, key)| {
        let (chain, private) = (read_certificates(certificate, CERTIFICATE)?, read_key(key)?);
        let pair = CertifiedKey::from_der(chain, private, &configs::provider());
        pair.map(Arc::new).map_err(|_| Error::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
        })
    });
    configs::client(Arc::new(roots), own.transpose()?).map_err(|error| unfit(authorities, &error))
}
