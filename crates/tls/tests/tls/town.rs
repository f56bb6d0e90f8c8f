//! An authority for a test, and the certificates it makes.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tls::{Authority, Figures, Files, Issued, Purpose, Request, Tls};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of certificates under one authority.
pub(crate) struct Town {
    pub(crate) authority: Authority,
    pub(crate) own: Issued,
    pub(crate) directory: TempDir,
}

impl Town {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now();
        let (authority, own) = Authority::create("a test's authority", now - 30 * DAY, now + 30 * DAY).unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self {
            authority,
            own,
            directory,
        }
    }

    /// A request for a node at 127.0.0.1 and `localhost`, valid now.
    pub(crate) fn node(name: &str) -> Request {
        let now = SystemTime::now();
        Request {
            name: name.to_owned(),
            hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
            purpose: Purpose::Node,
            from: now - DAY,
            until: now + DAY,
        }
    }

    /// Files of a certificate that is made now, trusting this authority.
    pub(crate) fn write(&self, request: &Request) -> Files {
        let issued = self.authority.issue(request).unwrap();
        self.files(&request.name, &issued, &self.own.certificate)
    }

    /// Files of these parts.
    pub(crate) fn files(&self, name: &str, issued: &Issued, authorities: &str) -> Files {
        let path = |suffix: &str| self.directory.path().join(format!("{name}.{suffix}"));
        let files = Files {
            certificate: path("crt"),
            key: path("key"),
            authorities: path("ca"),
        };
        write(&files.certificate, &issued.certificate);
        write(&files.key, &issued.key);
        write(&files.authorities, authorities);
        files
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// An identity with figures of its own.
pub(crate) fn load(files: Files) -> Tls {
    Tls::load(files, "node", &Figures::new(&telemetry::new_registry())).unwrap()
}
