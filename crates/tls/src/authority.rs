//! A certificate authority small enough for one cluster: it makes certificates of nodes and clients, on ECDSA P-256.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use crate::Error;
use crate::identity::server_name;

/// What a certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Both ends of connections between nodes, and servers.
    Node,
    /// Clients alone.
    Client,
}

/// A certificate to be made.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whom it is about.
    pub name: String,
    /// Host names and addresses it is valid for; clients need none.
    pub hosts: Vec<String>,
    /// What it is good for.
    pub purpose: Purpose,
    /// When it begins.
    pub from: SystemTime,
    /// When it ends.
    pub until: SystemTime,
}

/// A certificate and its key, in PEM form.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key: for its owner alone.
    pub key: String,
}

/// Whoever signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    until: SystemTime,
}

impl Authority {
    /// A new one, with its own certificate and key.
    ///
    /// # Errors
    /// [`Error::Making`].
    pub fn create(name: &str, from: SystemTime, until: SystemTime) -> Result<(Self, Issued), Error> {
        let key = new_key()?;
        let mut wanted = params(name, from, until);
        wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = wanted.self_signed(&key).map_err(|error| making(&error))?;
        let issued = Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        let issuer = Issuer::new(wanted, key);
        Ok((Self { issuer, until }, issued))
    }

    /// One that was made before; `until` is when its certificate ends.
    ///
    /// # Errors
    /// [`Error::Making`] when certificate or key cannot be read.
    pub fn open(own: &Issued, until: SystemTime) -> Result<Self, Error> {
        let key = KeyPair::from_pem(&own.key).map_err(|error| making(&error))?;
        let issuer = Issuer::from_ca_cert_pem(&own.certificate, key).map_err(|error| making(&error))?;
        Ok(Self { issuer, until })
    }

    /// Makes a certificate. It ends with the authority's own at the latest.
    ///
    /// # Errors
    /// [`Error::NotAName`] for a host that is none, [`Error::Making`].
    pub fn issue(&self, request: &Request) -> Result<Issued, Error> {
        for host in &request.hosts {
            server_name(&host.replacen("*.", "any.", 1)).map_err(|_| Error::NotAName(host.clone()))?;
        }
        let key = new_key()?;
        let mut wanted = CertificateParams::new(request.hosts.clone()).map_err(|error| making(&error))?;
        let basis = params(&request.name, request.from, request.until.min(self.until));
        wanted.not_before = basis.not_before;
        wanted.not_after = basis.not_after;
        wanted.distinguished_name = basis.distinguished_name;
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.use_authority_key_identifier_extension = true;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.extended_key_usages = match request.purpose {
            Purpose::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let certificate = wanted.signed_by(&key, &self.issuer).map_err(|error| making(&error))?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| making(&error))
}

fn params(name: &str, from: SystemTime, until: SystemTime) -> CertificateParams {
    let time = |at: SystemTime| {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Certificates know no fractions of a second.
        date_time_ymd(1970, 1, 1) + Duration::from_secs(since.as_secs())
    };
    let mut params = CertificateParams::default();
    params.not_before = time(from);
    params.not_after = time(until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "ElastiCore");
    params
}

fn making(error: &rcgen::Error) -> Error {
    Error::Making(error.to_string())
}
