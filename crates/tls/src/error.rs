//! What can be wrong with certificates, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

use crate::files::{AUTHORITIES, KEY};

/// Certificates that cannot be used, or made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there, or may not be read.
    #[error("{what} {} cannot be read ({})", path.display(), remedy(source, what))]
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
    #[error("{} holds no {what} in PEM form: {detail}. {}", path.display(), origin(what))]
    NotPem {
        /// What should be in it.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Key and certificate are not of one pair.
    #[error("the key {} does not belong to the certificate {}: give the two that were made together, NAME.pem and NAME.key of `elasticore certs`", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// Too late.
    #[error("the certificate {} expired at {}: make a new one with `elasticore certs renew`, which nodes take without a restart", path.display(), format_rfc3339_seconds(*at))]
    Expired {
        /// Its file.
        path: PathBuf,
        /// When it ended.
        at: SystemTime,
    },
    /// Too early.
    #[error("the certificate {} is not valid before {}: set the clock of this machine right, or make a new one with `elasticore certs renew --all`", path.display(), format_rfc3339_seconds(*at))]
    NotYetValid {
        /// Its file.
        path: PathBuf,
        /// When it begins.
        at: SystemTime,
    },
    /// A certificate that names nobody.
    #[error("the certificate {} has no subject alternative name: it must name the hosts and addresses of its node; make one with `elasticore certs add --node NAME=HOST,…`", path.display())]
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
         names it (`elasticore certs add --node NAME={host},…`), or set ADVERTISE_ADDR to one of these", path.display(), names.join(", ")
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

/// What to do about a file that cannot be read.
fn remedy(source: &io::Error, what: &str) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => format!("put it there: {}", origin(what)),
        io::ErrorKind::PermissionDenied => "let the user this program runs as read it: chown, and chmod 600 for keys".to_owned(),
        io::ErrorKind::IsADirectory => "write the path of the file, not of its directory".to_owned(),
        _ => "look at the disk it lies on".to_owned(),
    }
}

/// Where such a file comes from.
fn origin(what: &str) -> &'static str {
    match what {
        KEY => "`elasticore certs init`, or `certs add` for one more node, makes NAME.key beside NAME.pem",
        AUTHORITIES => "`elasticore certs init` makes ca.pem, the same for all nodes",
        _ => "`elasticore certs init`, or `certs add` for one more node, makes NAME.pem",
    }
}
