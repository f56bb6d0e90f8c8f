//! What a certificate says of itself, for people and for checks.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::Error;
use crate::files::{CERTIFICATE, read_certificates};

/// What is written in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Common name of whom it is about.
    pub subject: String,
    /// Common name of whom it was signed by.
    pub issuer: String,
    /// Host names and addresses it is valid for.
    pub names: Vec<String>,
    /// When it begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Its number among those of its authority, in hexadecimal digits.
    pub serial: String,
}

impl Facts {
    /// Of all certificates in a file.
    ///
    /// # Errors
    /// When it cannot be read, or holds none.
    pub fn read(path: &Path) -> Result<Vec<Self>, Error> {
        let all = read_certificates(path, CERTIFICATE)?;
        all.iter().map(|der| Self::of(der, path)).collect()
    }

    pub(crate) fn of(der: &CertificateDer<'_>, path: &Path) -> Result<Self, Error> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| Error::NotPem {
            what: CERTIFICATE,
            path: path.to_owned(),
            detail: error.to_string(),
        })?;
        let common_name = |name: &x509_parser::x509::X509Name<'_>| {
            let first = name.iter_common_name().next().and_then(|name| name.as_str().ok());
            first.map_or_else(|| name.to_string(), str::to_owned)
        };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.map_or_else(Vec::new, |names| names.value.general_names.iter().filter_map(name).collect());
        Ok(Self {
            subject: common_name(certificate.subject()),
            issuer: common_name(certificate.issuer()),
            names,
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            is_authority: certificate.is_ca(),
            serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Time until it ends; none when it has.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        self.not_after.duration_since(now).ok()
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(host) => Some((*host).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn time(at: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(at.timestamp()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
