//! An authority of the test's own, and what it signs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tls::ClientConfig;
use tls::testing::{DAY, Town, write};

/// Certificates in a directory, under one authority.
#[derive(Debug)]
pub struct Certificates {
    town: Town,
    authority: PathBuf,
}

/// Files of one certificate.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that is trusted.
    pub authority: PathBuf,
}

impl Certificates {
    /// A new authority, whose certificates lie in this directory.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let (town, authority) = (Town::at(directory), directory.join("ca.pem"));
        write(&authority, &town.own.certificate);
        Self { town, authority }
    }

    /// A certificate for a server, and client, at these hosts.
    #[must_use]
    pub fn certify(&self, name: &str, hosts: &[&str]) -> Certified {
        self.issue(name, hosts, SystemTime::now() + DAY)
    }

    /// One whose time is over.
    #[must_use]
    pub fn expired(&self, name: &str) -> Certified {
        self.issue(name, &["127.0.0.1"], SystemTime::now() - Duration::from_secs(60 * 60))
    }

    /// Certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.authority.clone()
    }

    fn issue(&self, name: &str, hosts: &[&str], until: SystemTime) -> Certified {
        let request = tls::Request {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            until,
            ..Town::node(name)
        };
        let files = self.town.write(&request);
        Certified {
            certificate: files.certificate,
            key: files.key,
            authority: self.authority(),
        }
    }
}

impl Certified {
    /// How a client that shows it calls servers of an authority.
    ///
    /// # Panics
    /// When the files cannot be used.
    #[must_use]
    pub fn client(&self, authority: &Path) -> ClientConfig {
        tls::testing::client(authority, &self.certificate, &self.key)
    }

    /// The settings of a node that say so.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.display().to_string();
        [
            ("TLS_CERT", text(&self.certificate)),
            ("TLS_KEY", text(&self.key)),
            ("TLS_CA", text(&self.authority)),
        ]
    }
}
