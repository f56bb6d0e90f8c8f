//! Where a certificate, its key and those who are trusted lie.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

pub(crate) const CERTIFICATE: &str = "certificate";
pub(crate) const KEY: &str = "private key";
pub(crate) const AUTHORITIES: &str = "certificate of an authority";

/// The three files, in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of the authorities that are trusted: more than one while they change.
    pub authorities: PathBuf,
}

/// What tells whether files have changed: a new time, another size, or another file at the same path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp([Option<(i64, i64, u64, u64)>; 3]);

impl Files {
    /// As settings have them: all three, or none. `prefix` begins their names: `TLS` for `TLS_CERT`, `TLS_KEY` and `TLS_CA`.
    ///
    /// # Errors
    /// [`Error::Incomplete`].
    pub fn of_settings(prefix: &'static str, certificate: &str, key: &str, authorities: &str) -> Result<Option<Self>, Error> {
        let all = [(certificate, "CERT"), (key, "KEY"), (authorities, "CA")];
        match all.iter().find(|(path, _)| path.is_empty()) {
            None => Ok(Some(Self {
                certificate: certificate.into(),
                key: key.into(),
                authorities: authorities.into(),
            })),
            Some(_) if all.iter().all(|(path, _)| path.is_empty()) => Ok(None),
            Some((_, name)) => Err(Error::Incomplete {
                prefix,
                missing: format!("{prefix}_{name}"),
            }),
        }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let stamp = |path: &Path| {
            let of = |metadata: Metadata| (metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino());
            std::fs::metadata(path).ok().map(of)
        };
        Stamp([stamp(&self.certificate), stamp(&self.key), stamp(&self.authorities)])
    }

    pub(crate) fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        read_certificates(&self.certificate, CERTIFICATE)
    }

    pub(crate) fn read_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        read_key(&self.key)
    }

    pub(crate) fn read_authorities(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        read_certificates(&self.authorities, AUTHORITIES)
    }
}

/// The key in a file.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read(path, KEY)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => not_pem(path, KEY, &"there is none"),
        other => not_pem(path, KEY, &other),
    })
}

/// All certificates of a file, of which there must be one.
pub(crate) fn read_certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(path, what)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| not_pem(path, what, &error))?;
    if all.is_empty() {
        return Err(not_pem(path, what, &"there is none"));
    }
    Ok(all)
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}

fn not_pem(path: &Path, what: &'static str, detail: &dyn std::fmt::Display) -> Error {
    Error::NotPem {
        what,
        path: path.to_owned(),
        detail: detail.to_string(),
    }
}
