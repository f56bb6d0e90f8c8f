//! For tests, here and in the crates above: an authority of their own, and certificates of nodes on disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tempfile::TempDir;

use crate::outside::showing;
use crate::{Authority, Figures, Files, Issued, Purpose, Request, Tls};

/// How long before and after now certificates are valid, unless a test says otherwise.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of certificates under one authority.
#[derive(Debug)]
pub struct Town {
    /// What signs.
    pub authority: Authority,
    /// Its certificate.
    pub own: Issued,
    directory: PathBuf,
    /// Removed at last, when it is the town's.
    _kept: Option<TempDir>,
}

impl Town {
    /// In a directory of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let town = Self::at(directory.path());
        Self {
            _kept: Some(directory),
            ..town
        }
    }

    /// In this directory.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("the directory can be made");
        let now = SystemTime::now();
        let made = Authority::create("a test's authority", now - 30 * DAY, now + 30 * DAY);
        let (authority, own) = made.expect("an authority can be made");
        Self {
            authority,
            own,
            directory: directory.to_owned(),
            _kept: None,
        }
    }

    /// A request for a node at 127.0.0.1 and `localhost`, valid now.
    #[must_use]
    pub fn node(name: &str) -> Request {
        let now = SystemTime::now();
        Request {
            name: name.to_owned(),
            hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
            purpose: Purpose::Node,
            from: now - DAY,
            until: now + DAY,
        }
    }

    /// Files of a certificate that is made now, trusting this authority; anew when they are there.
    ///
    /// # Panics
    /// When there is no such certificate, or they cannot be written.
    #[must_use]
    pub fn write(&self, request: &Request) -> Files {
        let issued = self.authority.issue(request).expect("a certificate can be made");
        self.files(&request.name, &issued, &self.own.certificate)
    }

    /// Files of these parts.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn files(&self, name: &str, issued: &Issued, authorities: &str) -> Files {
        let path = |suffix: &str| self.directory.join(format!("{name}.{suffix}"));
        let files = Files {
            certificate: path("pem"),
            key: path("key"),
            authorities: path("ca"),
        };
        write(&files.certificate, &issued.certificate);
        write(&files.key, &issued.key);
        write(&files.authorities, authorities);
        files
    }

    /// A node's identity, made now, with figures of its own.
    #[must_use]
    pub fn identity(&self, name: &str) -> Tls {
        load(self.write(&Self::node(name)))
    }
}

impl Default for Town {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a file.
///
/// # Panics
/// When it cannot be written.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the test's directory can be written");
}

/// An identity with figures of its own.
///
/// # Panics
/// When the files cannot be used.
#[must_use]
pub fn load(files: Files) -> Tls {
    Tls::load(files, "node", &Figures::new(&telemetry::new_registry())).expect("the files can be used")
}

/// A client outside of the cluster that shows a certificate, be it expired, to servers of an authority.
///
/// # Panics
/// When the files cannot be used.
#[must_use]
pub fn client(authorities: &Path, certificate: &Path, key: &Path) -> ClientConfig {
    showing(authorities, Some((certificate, key))).expect("the files can be used")
}
