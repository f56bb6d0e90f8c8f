//! What can be wrong with certificates, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

/// Certificates that cannot be used, or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there, or may not be read.
    #[error("{what} {} cannot be read", path.display())]
    Unreadable {
        /// What should be in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that holds something else.
    #[error("{} holds no {what} in PEM form: {detail}", path.display())]
    NotPem {
        /// What should be in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Key and certificate are not of one pair.
    #[error("the key {} does not belong to the certificate {}: give the two that were made together", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// Too late.
    #[error("the certificate {} expired at {}: make a new one (elasticore certs renew)", path.display(), format_rfc3339_seconds(*at))]
    Expired {
        /// Its file.
        path: PathBuf,
        /// When it ended.
        at: SystemTime,
    },
    /// Too early.
    #[error("the certificate {} is not valid before {}: is the clock of this machine right?", path.display(), format_rfc3339_seconds(*at))]
    NotYetValid {
        /// Its file.
        path: PathBuf,
        /// When it begins.
        at: SystemTime,
    },
    /// A certificate that names nobody.
    #[error("the certificate {} has no subject alternative name: it must name the hosts and addresses of its node", path.display())]
    Nameless {
        /// Its file.
        path: PathBuf,
    },
    /// Not of this cluster, or not made for nodes.
    #[error("the certificate {} is not one that nodes can use: {detail}", path.display())]
    Unfit {
        /// Its file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// Other nodes would refuse it under the name by which they know this one.
    #[error(
        "the certificate {} is not valid for {host}, under which other nodes reach this one (ADVERTISE_ADDR); it names {}: make one that \
         names it, or set ADVERTISE_ADDR to one of these", path.display(), names.join(", ")
    )]
    OtherName {
        /// Its file.
        path: PathBuf,
        /// The name that is missing.
        host: String,
        /// Those it has.
        names: Vec<String>,
    },
    /// Some of the files are set and others not.
    #[error("{prefix}_CERT, {prefix}_KEY and {prefix}_CA belong together: {missing} is not set")]
    Incomplete {
        /// What the settings begin with.
        prefix: &'static str,
        /// The first that is missing.
        missing: String,
    },
    /// A certificate for a name that is none.
    #[error("{0:?} is neither a host name nor an address")]
    NotAName(String),
    /// Making a certificate failed.
    #[error("a certificate cannot be made: {0}")]
    Making(String),
}
